"""What goes wrong beneath a ledger of a test: real errors of the real libraries, at the moment that the test needs."""

from contextlib import contextmanager


@contextmanager
def without_space(ledger):
    """Let an instance's mirror have no page more than it has, as on a full disk."""
    mirror = ledger._mirror
    with mirror.lock:
        mirror._db.execute("PRAGMA max_page_count=1")  # which SQLite takes for: as many as there are
    try:
        yield
    finally:
        with mirror.lock:
            mirror._db.execute("PRAGMA max_page_count=1000000")


def once(monkeypatch, where, name, error, when=lambda *_: True):
    """Let the first call of a method `when` says so fail; return a list that is filled once it has."""
    real, failed = getattr(where, name), []

    def call(*arguments, **more):
        if not failed and when(*arguments):
            failed.append(error)
            raise error
        return real(*arguments, **more)

    monkeypatch.setattr(where, name, call)
    return failed
