"""The terms of a controlled delivery, as codes: what the laws of the States on the way ask about (schemas/rules).

They say in codes what the ten items of a request say in words, so that a condition of law can be held against them.
What is left out is not known, and a condition that asks about it denies.
"""

from typing import Annotated

from pydantic import Field

from schemas.notice.forms import AnyCode, In, Language, Part, When
from schemas.notice.place import Places

Offence = Annotated[AnyCode, In("offences")]
AuthorityCode = Annotated[AnyCode, In("authorities")]
DangerousGoods = Annotated[AnyCode, In("dangerous-goods")]
AssistanceRequest = Annotated[AnyCode, In("assistance-request")]


class Terms(Part):
    """What is proposed for a delivery.

    `authorised_by` is who authorised it where the approving authority's kind does not say so; `assistance` when the
    request for legal assistance is made; `oral_until` until when an urgent oral request is confirmed in writing;
    `last_resort` that the offence could otherwise not be cleared up; `constant_surveillance` that the goods are never
    out of sight; `final_interception` that they are seized at the latest at the destination; `languages` those of the
    request and its translations.
    """

    offences: Annotated[tuple[Offence, ...], Field(strict=False)] = ()
    authorised_by: Annotated[tuple[AuthorityCode, ...], Field(strict=False)] = ()
    assistance: AssistanceRequest | None = None
    oral_until: When | None = None
    last_resort: bool | None = None
    constant_surveillance: bool | None = None
    final_interception: bool | None = None
    foreign_officers: bool | None = None
    dangerous_goods: Annotated[tuple[DangerousGoods, ...], Field(strict=False)] | None = None
    handover: Places = ()
    languages: Annotated[tuple[Language, ...], Field(strict=False)] = ()
