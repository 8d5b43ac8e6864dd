"""Clusters that the tests of this folder share; skipped in one line where there is no Java or Maven."""

import logging
from collections.abc import Iterator

import pytest

from tests import cluster
from tests.cluster import Cluster


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what aiokafka says to itself: thousands of lines where a node is away or a right is missing."""
    caplog.set_level(logging.CRITICAL, "aiokafka")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Cluster]:
    """One node, no security: 2 s. Whoever uses it clears it (`cluster.clear`), or names topics that are its own."""
    cluster.skip_without_kafka()
    with cluster.running() as made:
        yield made


@pytest.fixture(scope="module")
def kafka_of_three() -> Iterator[Cluster]:
    """Three nodes, no security: 4 s. For tests that kill; they leave all three running."""
    cluster.skip_without_kafka()
    with cluster.running(3) as made:
        yield made


@pytest.fixture(scope="session")
def kafka_tls() -> Iterator[Cluster]:
    """One node that takes certificates, ACLs on: 3 s."""
    cluster.skip_without_kafka()
    with cluster.running(security="tls") as made:
        yield made


@pytest.fixture(scope="session")
def kafka_scram() -> Iterator[Cluster]:
    """One node that takes passwords over TLS, ACLs on: 3 s."""
    cluster.skip_without_kafka()
    with cluster.running(security="scram") as made:
        yield made
