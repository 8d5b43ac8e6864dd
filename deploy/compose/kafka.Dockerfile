# A node of the cluster. Context: the root of the repository. Maven fetches what deploy/kafka/pom.xml names.
ARG MAVEN=maven:3-eclipse-temurin-21
ARG JAVA=eclipse-temurin:21-jre

FROM ${MAVEN} AS made
WORKDIR /source/deploy/kafka
COPY deploy/kafka/pom.xml .
RUN mvn --quiet --batch-mode dependency:copy-dependencies

FROM ${JAVA}
COPY --from=made /source/build/kafka/libs /opt/kafka/libs
COPY --chmod=755 deploy/compose/kafka.sh /opt/kafka/
COPY deploy/kafka/production/server.properties /opt/kafka/
RUN groupadd --gid 10002 kafka && useradd --uid 10002 --gid 10002 --no-create-home --shell /usr/sbin/nologin kafka \
 && install -d -m 700 -o 10002 -g 10002 /var/lib/kafka
USER 10002:10002
ENTRYPOINT ["/opt/kafka/kafka.sh"]
