#!/usr/bin/env bash
# Start a node of the cluster, formatting its storage the first time. Settings are those of production (deploy/kafka); who
# the node is comes behind them, for the last line of a name holds. NODE is its number, CLUSTER the cluster's id,
# CONTROLLERS who takes part in the first quorum: number@host:port:directory, three of them.
set -euo pipefail
libs="${LIBS:-/opt/kafka/libs}"
common="${COMMON:-/opt/kafka/server.properties}"
data="${DATA:-/var/lib/kafka}"
secrets="${SECRETS:-/run/secrets}"
settings="$(mktemp)"

{
  cat "$common"
  echo "node.id=$NODE"
  echo "listeners=CLIENT://kafka-$NODE:9092,INTERNAL://kafka-$NODE:9093,CONTROLLER://kafka-$NODE:9094"
  echo "controller.quorum.bootstrap.servers=kafka-1:9094,kafka-2:9094,kafka-3:9094"
  echo "ssl.keystore.location=$secrets/kafka-$NODE.pem"
  echo "ssl.truststore.location=$secrets/ca.pem"
  echo "log.dirs=$data"
} > "$settings"

run=(java "-Xmx${HEAP:-512m}" -XX:+ExitOnOutOfMemoryError ${JAVA_OPTIONS:-} -cp "$libs/*")
if [ ! -e "$data/meta.properties" ]; then
  "${run[@]}" kafka.tools.StorageTool format --config "$settings" --cluster-id "$CLUSTER" --initial-controllers "$CONTROLLERS"
fi
exec "${run[@]}" kafka.Kafka "$settings"
