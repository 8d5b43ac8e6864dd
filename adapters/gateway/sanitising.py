"""Take the nominal part out of a draft: what a sanitised copy says, and what it leaves out (handling code H3, national law).

What is nominal, the kind's own schema says. Free text is left as it was written: whether it names somebody, only the
person who wrote it can tell, to whom the preview shows the whole copy.
"""

from collections.abc import Sequence
from dataclasses import replace

from adapters.gateway.draft import Draft
from adapters.gateway.status import Addressee
from schemas.errors import FormError
from schemas.ids import NoticeId
from schemas.label import Label
from schemas.notice import nominal_members, parse_notice, to_json, without_nominal
from schemas.rules.builtin import ANSWERS


def wanted(draft: Draft) -> bool:
    """Say whether a draft is a notice with a nominal part of which sanitised copies are asked for."""
    return draft.sanitise and draft.act == "issue" and draft.label is not None and draft.label.nominal


def sanitised(draft: Draft) -> Draft:
    """Return a draft without its nominal part, to the same people; one without is what it was, marked.

    Raises `FormError` for a notice that cannot be read: of that nobody knows what is nominal.
    """
    if draft.label is None or draft.notice is None:
        raise FormError("Only a notice can be sanitised.")
    notice = parse_notice(draft.label.kind, draft.notice, known_codes=False)
    return replace(
        draft,
        label=replace(draft.label, nominal=False),
        notice=to_json(without_nominal(notice)),
        sanitise=False,
        whole_for=None,
        sanitised=True,
    )


def copy(
    draft: Draft, people: Sequence[Addressee], *, ref: NoticeId | None = None, thread: NoticeId | None = None
) -> Draft:
    """Return the sanitised copy of a draft for some people and nobody else, in the thread that it is said to be in.

    What refers to another notice goes on referring to it; every other copy refers to the notice that it is a copy of.
    The copy is for others than whoever is answered: it does not say that it answers.
    """
    clean = sanitised(draft)
    return replace(
        clean,
        label=label_of_copy(clean),
        to=(),
        beside=(),
        closed=True,
        copy_for=tuple(people),
        ref=draft.ref or ref,
        thread=thread or draft.thread,
    )


def label_of_copy(clean: Draft) -> Label:
    """Return the label of a sanitised draft's copy."""
    assert clean.label is not None  # it was sanitised
    said = tuple(item for item in clean.label.conditions if item.code != ANSWERS)
    return replace(clean.label, conditions=said)


def left_out(draft: Draft) -> tuple[str, ...]:
    """Return pointers to the members of a request's notice that a sanitised copy leaves out."""
    if draft.label is None or draft.notice is None:
        return ()
    notice = parse_notice(draft.label.kind, draft.notice, known_codes=False)
    return tuple(f"/notice/{name}" for name in nominal_members(notice))
