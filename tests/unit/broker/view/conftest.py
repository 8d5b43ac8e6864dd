import pytest

from broker.ledger.port import Append
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from tests.unit.broker.ledger import made_records


class Broker:
    """A ledger and its view as the ledger thread has them: append, apply, erase."""

    def __init__(self, folder, origin):
        self.folder = folder
        self.ledger = SqliteLedger(folder / "ledger.sqlite", origin)
        self.view = View(folder / "view.sqlite", origin)
        self.view.catch_up(self.ledger)

    def append(self, *entries):
        """Append entries in one step and return what the view made of each."""
        position = self.ledger.append(Append(entries))[0]
        return self.view.apply([(position + n, entry.record, entry.body) for n, entry in enumerate(entries)])

    def reopen(self, name="view.sqlite"):
        """Close the view and open it again, or another one beside it."""
        self.view.close()
        self.view = View(self.folder / name, self.ledger.origin)
        self.view.catch_up(self.ledger)
        return self.view

    def close(self):
        self.view.close()
        self.ledger.close()


def tables(view):
    """Return everything that a view holds, by table."""
    names = [row[0] for row in view._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(view._db.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


@pytest.fixture(scope="session")
def made():
    return made_records


@pytest.fixture
def maker(made):
    return made.Maker()


@pytest.fixture
def broker(tmp_path, made):
    opened = Broker(tmp_path, made.ORIGIN)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def open_broker(made, tmp_path_factory):
    """Return a function that opens a new ledger and view: for tests that need one for each example."""
    return lambda: Broker(tmp_path_factory.mktemp("broker"), made.ORIGIN)


@pytest.fixture(scope="session")
def all_tables():
    return tables
