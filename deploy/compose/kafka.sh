#!/usr/bin/env bash
# Start a node of the cluster, formatting its storage the first time. NODE is its number, CLUSTER the cluster's id.
set -euo pipefail
libs="${LIBS:-/opt/kafka/libs}"
common="${COMMON:-/opt/kafka/kafka.properties}"
data="${DATA:-/var/lib/kafka}"
secrets="${SECRETS:-/run/secrets}"
settings="$(mktemp)"

{
  cat "$common"
  echo "node.id=$NODE"
  echo "listeners=CLIENT://kafka-$NODE:9092,CONTROLLER://kafka-$NODE:9093"
  echo "log.dirs=$data"
  echo "ssl.keystore.location=$secrets/kafka-$NODE.pem"
  echo "ssl.truststore.location=$secrets/ca.pem"
} > "$settings"

run=(java "-Xmx${HEAP:-512m}" -XX:+ExitOnOutOfMemoryError ${JAVA_OPTIONS:-} -cp "$libs/*")
if [ ! -e "$data/meta.properties" ]; then
  "${run[@]}" kafka.tools.StorageTool format --cluster-id "$CLUSTER" --config "$settings"
fi
exec "${run[@]}" kafka.Kafka "$settings"
