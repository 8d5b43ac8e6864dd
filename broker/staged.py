"""What a chunk is decided against before any of it is in the ledger."""

from collections.abc import Collection

from broker.acts import Row
from broker.view.store import View
from schemas.ids import Kid, LedgerIndex, NoticeId
from schemas.record import Record
from schemas.statement import Statement


class Staged:
    """What `publish` reads while a chunk is being decided: the view, and that some of the chunk comes before.

    `touched` says that a notice was asked about which is in the chunk itself: the chunk ends there, for what asked is
    decided once its twin, or what it refers to, has its place.
    """

    def __init__(self, view: View) -> None:
        """Begin at the view's size."""
        self._view = view
        self._notices: set[NoticeId] = set()
        self.size = view.size
        self.next_index = view.size
        self.touched = False

    def add(self, notice_id: NoticeId) -> None:
        """Note that a notice comes before what is decided from now on."""
        self._notices.add(notice_id)
        self.next_index += 1

    def known(self, digest: bytes) -> tuple[LedgerIndex, Record] | None:
        """Return index and record of a statement with this digest, where the view has it."""
        return self._view.known(digest)

    def by_notice(self, notice_id: NoticeId) -> Row | None:
        """Return the statement with this notice id, where the view has it."""
        self.touched = self.touched or notice_id in self._notices
        return self._view.by_notice(notice_id)

    def statement(self, notice_id: NoticeId) -> Statement | None:
        """Return the whole statement with this notice id, where the view has it."""
        return self._view.statement(notice_id)

    def holders(self, notice_id: NoticeId) -> Collection[Kid]:
        """Return the key ids that a notice's body is for."""
        return self._view.holders(notice_id)

    def root(self, size: int) -> bytes:
        """Return the root of the first so many leaves."""
        return self._view.root(size)
