"""What is taken back is taken back everywhere: also where a law has changed since, or a gateway was away for long.

Everything is real but the TCP connection.
"""

import asyncio

import pytest

from adapters.gateway.request import ConsentRequest, CorrectionRequest, RecallRequest, RefuseRequest
from adapters.gateway.status import InboxState
from schemas.encoding import from_seconds, to_seconds
from schemas.notice import examples
from tests.broker_world import upload_law
from tests.gateway_world import a_request, arrived, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_originator import came, settled
from tests.world import denying

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
CD = {"topic": "central-asia.controlled-deliveries", "notice": examples("controlled-delivery")}


async def forbidden(made, *kinds):
    """Let the law of `tj` forbid some kinds of notices, and wait until every gateway knows."""
    law = "".join(denying(f"not-{kind}", kind=kind) for kind in kinds)
    await upload_law(made.world, made.broker, "tj", law)
    version = made.broker.serving.trust.directory.version
    for gateway in made.gateways.values():
        await until(lambda gateway=gateway: gateway.network.directory.version == version)


@pytest.mark.parametrize("streams", [False, True], ids=["polled", "streamed"])
def test_a_recall_reaches_who_had_opened_it_before_its_law_changed(tmp_path, streams):
    async def scenario():
        async with scene(tmp_path, SENDER, OTHER, streams=streams, duty_seconds=0.05) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER,)))
            (item,) = await arrived(made, OTHER)
            assert item.state is InboxState.OPENED
            await forbidden(made, "seizure")
            await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest(reason="withdrawn")))
            (recall,) = await came(made, OTHER, "recall")
            assert recall.notice == {"kind": "recall", "reason": "withdrawn"}
            item = await made[OTHER].inbox_item(OTHER, first.id)
            assert (item.state, item.notice, item.recalled_by) == (InboxState.RECALLED, None, recall.notice_id)
            (certificate,) = await came(made, SENDER, "certify")
            assert (certificate.sender, certificate.ref) == (OTHER, first.id)
            assert await made.broker.serving.held(OTHER) == []

    asyncio.run(scenario())


def test_a_consent_that_is_withdrawn_is_withdrawn_from_whom_the_law_has_closed_since(tmp_path):
    async def scenario():
        async with scene(tmp_path, OTHER, READER) as made:
            first = await sent(made, OTHER, a_request(to=(READER,), **CD))
            await arrived(made, READER)
            dealings = made[READER].dealings
            await settled(made, READER, await dealings.consent(READER, first.id, ConsentRequest(), None))
            await came(made, OTHER, "consent")
            await forbidden(made, "refusal", "answer")
            kept = await dealings.withdraw(READER, first.id, RefuseRequest(reason="court-order"), None)
            status = await settled(made, READER, kept)
            await came(made, OTHER, "withdraw")
            # It lives as long as what was consented to.
            assert status.expires_at == first.expires_at

    asyncio.run(scenario())


def test_a_recall_lives_as_long_as_any_text_that_it_takes_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            ends = [from_seconds(made.world.now + days * 86400) for days in (300, 700)]
            first = await sent(made, SENDER, a_request(to=(READER,), expires_at=ends[0]))
            request = CorrectionRequest(notice=examples("seizure"), expires_at=ends[1])
            await settled(made, SENDER, await made[SENDER].correct(SENDER, first.id, request))
            recall = await settled(made, SENDER, await made[SENDER].recall(SENDER, first.id, RecallRequest()))
            assert recall.expires_at == ends[1]
            short = await sent(
                made, SENDER, a_request(to=(READER,), expires_at=from_seconds(made.world.now + 2 * 86400))
            )
            recall = await settled(made, SENDER, await made[SENDER].recall(SENDER, short.id, RecallRequest()))
            assert to_seconds(recall.expires_at) >= made.world.now + 30 * 86400 - 60

    asyncio.run(scenario())
