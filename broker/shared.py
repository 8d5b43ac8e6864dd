"""From settings to the ledger on a cluster: identity, frame keys, and the instance's part in it."""

from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.frames import read_frame_keys
from broker.ledger.kafka.store import KafkaLedger, Place
from broker.settings import ConfigurationError, Settings
from schemas.ids import Origin


def open_ledger(settings: Settings, origin: Origin) -> KafkaLedger:
    """Open the ledger of an instance's settings.

    Raises `ConfigurationError` and `ConnectionSettingsError` for settings that are no use, `UnsafeStoreError` for topics
    that are not safe, `LedgerUnavailableError` where the cluster cannot be reached.
    """
    return KafkaLedger(settings.state, origin, place_of(settings))


def place_of(settings: Settings) -> Place:
    """Return an instance's place in the cluster; raise as `open_ledger`."""
    kafka = settings.kafka
    if kafka.bootstrap is None or kafka.frame_keys is None:
        raise ConfigurationError("The settings name no cluster.", pointer="/kafka/bootstrap")
    password = None
    if kafka.password_file is not None:
        try:
            password = kafka.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError("The password cannot be read.", pointer="/kafka/password_file") from None
    connection = Connection(
        kafka.bootstrap,
        ca=kafka.ca,
        certificate=kafka.certificate,
        key=kafka.key,
        username=kafka.username,
        password=password,
        practice=settings.demo,
    )
    return Place(
        connection,
        read_frame_keys(kafka.frame_keys),
        kafka.instance,
        kafka.signer,
        kafka.replication,
        create=kafka.create_topics,
        recheck_s=kafka.recheck_seconds,
        alone_s=kafka.alone_seconds,
    )
