"""The ledger on a Kafka cluster: topics, frames, connections. Nothing else imports `aiokafka` (design: ledger, kafka)."""
