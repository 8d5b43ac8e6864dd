"""Albania's case, told over real processes: who may receive a request, and one law that changes and is changed back.

Every command and request that is shown is run. The simulation reads the running log and Albania's gateway; what the broker then
withholds and offers again is compared with what the simulation said. A claim that does not hold ends it.
"""

import asyncio
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from adapters.cli import verdicts
from adapters.cli.words import article, reason
from adapters.client.answers import Held
from adapters.demo import case_cast
from adapters.demo.case_cast import ALBANIA, ON_THE_WAY
from adapters.demo.case_hands import Candidates, Hands, until
from adapters.demo.case_report import (
    ANSWERS,
    MOVED,
    OWED,
    UNSEEN,
    answers,
    moved,
    owed,
    state_of,
    together,
    unseen,
)
from adapters.demo.ceremony import FOCAL_POINT, OFFICER
from adapters.demo.processes import DemoError, deaf
from keys.custody import durable
from schemas.notice import examples

SUBSCRIBERS: Final = ("it", "nl", "me", "kz")
AT_NIGHT: Final = ("me", "kz")
"""States whose gateways are switched off while the law changes."""
_PERSONS: Final = {"persons": [{"role": {"code": "courier"}, "family_name": "Example", "nationalities": ["AL"]}]}
_PREVIEW: Final = "POST /v1/notices/preview?states=true   (valise notice send albania.json --preview --states)"
_SAFEGUARDS: Final = {"code": "transfer-basis", "values": ["safeguards"]}


class Case(Hands):
    """The story, over the processes that its hands hold."""

    async def run(self) -> None:
        """Tell it from beginning to end, and end every process; raise `DemoError` for what does not hold."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
                await self.exchange.start()
                durable.write(self.stage.folder / "deployment.json", self.stage.place.encode())
                await self.gateways.start(session)
                await self._past()
                before = await self._ask()
                await self._each_no(before)
                await self._broker(before)
                await self._send()
                told = await self._simulate()
                version = await self._sign_and_upload()
                await self._again(before, version)
                await self._withheld(session, told)
                await self._back(session)
        finally:
            with deaf():
                try:
                    await self.gateways.stop()
                finally:
                    await self.exchange.stop()

    # What was before

    async def _past(self) -> None:
        self.say("Gateways: Albania, Italy, the Netherlands, Montenegro, Kazakhstan; five past notices of Albania")
        await asyncio.gather(*(self.of(state).subscribe("*.seizures") for state in SUBSCRIBERS))
        await asyncio.gather(*(self.of(state).subscribed(1) for state in SUBSCRIBERS))

        async def seen() -> bool:
            found = await self.candidates(_seizure("AL-0"), states=False)
            return {state_of(one) for one in found} == set(SUBSCRIBERS)

        await until(seen, "Albania's gateway sees the subscriptions")
        await self.post("first", _seizure("AL-1"))
        await self.post("persons", _seizure("AL-2", persons=True))
        await self.post("safeguards", _seizure("AL-3", persons=True, conditions=[_SAFEGUARDS]))
        for state in ("it", "nl", "me"):
            await self.arrived(state, "first", "persons", "safeguards")
        await self.arrived("kz", "first")
        for name, states in (("first", SUBSCRIBERS), ("safeguards", ("it", "nl", "me"))):
            await self.acknowledged(name, states)
        await self.gateways.stop(AT_NIGHT)
        await self.post("waiting", _seizure("AL-4", persons=True))
        await self.post("last", _seizure("AL-5"))

    # The question

    async def _ask(self) -> Candidates:
        sheet = self.sheet
        sheet.step(
            "Albania asks who may receive its request for a controlled delivery",
            "Heroin from Durrës by Bari, Tarvisio, Villach and Munich to Rotterdam: through Italy, Austria and Germany to the "
            "Netherlands. The driver is named. Albania's gateway decides, contents included; nothing is sent.",
        )
        sheet.call(_PREVIEW)
        found = await self.candidates(case_cast.request(), states=True)
        sheet.table(ANSWERS, answers(found))
        sheet.table(OWED, owed(found), apart=False)
        permitted = {state_of(one) for one in found if one["permitted"]}
        sheet.claim(
            f"{len(found)} States answered, each with its article", len(found) == len(self.stage.cast.states) - 1
        )
        sheet.claim(
            "The States on the way may receive it, but for the Netherlands",
            permitted & {*ON_THE_WAY} == {"it", "at", "de"},
        )
        unlawful = [state_of(one) for one in found if not one["permitted"] and not one["changes"]]
        sheet.claim("Kyrgyzstan has signed no law: no change of the request makes it a yes", unlawful == ["kg"])
        return found

    async def _each_no(self, found: Candidates) -> None:
        sheet = self.sheet
        sheet.step("What makes each no a yes: every way is taken, and asked again")
        made: dict[str, list[str]] = {}
        asked = 0
        for one in found:
            for way in verdicts.objects_each(one["changes"]):
                again = await self.candidates(_changed(case_cast.request(), way), states=False, to=[one["participant"]])
                said = verdicts.in_a_phrase((str(each["way"]), str(each["value"])) for each in way)
                if all(item["permitted"] for item in again if item["participant"] == one["participant"]):
                    made.setdefault(said, []).append(state_of(one).upper())
                asked += 1
        sheet.table(("The request …", "May now"), [(said, ", ".join(who)) for said, who in made.items()], apart=False)
        denied = [one for one in found if one["changes"]]
        sheet.claim(
            f"{asked} ways for {len(denied)} States, each a yes once made",
            asked and sum(map(len, made.values())) == asked,
        )

    async def _broker(self, found: Candidates) -> None:
        sheet = self.sheet
        sheet.step(
            "The broker is asked too: it sees the label only, and says so",
            "Topic and label travel, signed by the focal point's request key; the request itself stays at the desk.",
        )
        durable.write(self.stage.folder / "albania.json", json.dumps(case_cast.request()).encode())
        told = await self.valise("law", "resolve", "albania.json", "--folder", f"gateway-{ALBANIA}", *self.secret)
        received = [one for one in told["answers"] if one["action"] == "receive"]
        sheet.table(UNSEEN, unseen(received), apart=False)
        by_label = {state_of(one): one["verdict"]["permitted"] for one in received}
        by_content = {state_of(one): one["permitted"] for one in found}
        sheet.claim(
            "By the label it permits the Netherlands and Belgium too: what stops them stands in the contents",
            {state for state, permitted in by_label.items() if permitted is not by_content[state]} == {"be", "nl"},
        )
        named = {item for one in received if state_of(one) in ("be", "nl") for item in verdicts.unseen(one["verdict"])}
        sheet.claim(
            "It names the conditions that it leaves to the gateways, theirs among them",
            {"nl: nl-cd-off-the-market", "be: be-cd-language"} <= named,
        )

    async def _send(self) -> None:
        sheet = self.sheet
        sheet.step(
            "The request is sent, with seizure at the destination, to the States on the way",
            "Each is sealed for its recipient; the broker reads nothing of it. The gateways of Austria and Germany are not "
            "part of this demonstration, and their copies wait.",
        )
        wanted = case_cast.request()
        wanted["notice"]["terms"]["final_interception"] = True
        wanted["to"] = [f"{state}/{FOCAL_POINT}" for state in ON_THE_WAY]
        status = await self.post("request", wanted)
        sheet.claim("Published, with a receipt of the log", status["receipt"])
        await self.arrived("it", "request")
        await self.arrived("nl", "request")
        sheet.claim("Italy and the Netherlands have opened it", True)

    # The change

    async def _simulate(self) -> dict[str, Any]:
        sheet, folder = self.sheet, self.stage.folder
        sheet.step(
            "Albania's legal officer drafts a change of law, and simulates it",
            "Data on persons is to go outside the European Union, no longer only outside the Council of Europe, on a named "
            "basis; and the undertaking about the death penalty is no longer asked of Kazakhstan. An illustration.",
        )
        before, after = case_cast.law_text(ALBANIA) or "", case_cast.draft_text()
        durable.write(folder / "draft.toml", after.encode())
        for sign, text in _difference(before, after):
            sheet.line(sign, text)
        place = ("--deployment", "deployment.json")
        service = self.gateways.services[ALBANIA]
        told = await self.valise(
            *("law", "simulate", "draft.toml", *place, "--log", "--folder", "auditor", *self.secret),
            *("--gateway", service.address),
            *("--token-file", self.gateways.token_file(f"{ALBANIA}/{FOCAL_POINT}").name),
            *("--out", "simulation.json", "--html", "simulation.html", "--enter"),
        )
        listed = told["withheld"]["listed"]
        sheet.table(
            ("Simulated", "What would have become of past notices"),
            [
                ("Read", f"{told['notices']} in the log, {told['in_full']} of them in full at Albania's gateway"),
                ("Lost", _counts(told["loses"])),
                ("Gained", _counts(told["gains"])),
                ("Withheld", "\n".join(f"one that {one['concerns'][0]} has not fetched" for one in listed)),
                (
                    "By which article",
                    "\n".join(f"{article(one)}: {reason(one['reason'])}" for one in told["conditions"]),
                ),
            ],
        )
        sheet.claim(
            "It read the running log, and Albania's own notices in full", told["notices"] == told["in_full"] == 6
        )
        sheet.claim(
            "What Montenegro has not fetched would be withheld, and nothing else",
            [(one["notice_id"], one["concerns"]) for one in listed]
            == [(self.notices["waiting"], [f"me/{FOCAL_POINT}"])],
        )
        sheet.claim("Kazakhstan would have received more", {one["state"] for one in told["gains"]} == {"kz"})
        text = (folder / "draft.toml").read_text(encoding="utf-8")
        sheet.claim("The report's digest stands in the draft", f'simulation = "{told["sha256"]}"' in text)
        return told

    async def _sign_and_upload(self) -> int:
        sheet = self.sheet
        sheet.step(
            "Two keys sign it: the legal officer's, then the focal point's",
            "This is a demonstration: both keys lie in its own folder, under one passphrase. In earnest each is held by one "
            "person, in a file or on a card of their own, and no machine has both.",
        )
        place = ("--deployment", "deployment.json")
        await self.sign(OFFICER, "law", "sign", "draft.toml", *place, "--out", "al-law.update.json")
        code, why = await self.refused("law", "upload", "al-law.update.json", *place)
        sheet.claim(f"With one signature it is refused: {why}", code != 0)
        await self.sign(FOCAL_POINT, "law", "sign", "al-law.update.json", *place)
        return await self.upload()

    async def _again(self, before: Candidates, version: int) -> None:
        sheet = self.sheet
        sheet.step("In force: who may receive the request as drafted now", "Those whose answer has changed:")
        sheet.call(_PREVIEW)
        now = await self.in_force(version)
        rows = moved(before, now)
        sheet.table(MOVED, together(rows))
        changed = set(rows)
        sheet.claim(
            "Montenegro, Serbia and the United Kingdom may no longer receive it as it stands",
            {"ME", "RS", "GB"} <= changed,
        )
        ways = [one["way"] for item in now if state_of(item) == "kz" for way in item["changes"] for one in way]
        sheet.claim(
            "Kazakhstan needs no undertaking any more; nobody else's answer has changed",
            changed == {"ME", "RS", "GB", "KZ"} and "undertaking" not in ways,
        )

    async def _withheld(self, session: aiohttp.ClientSession, told: Mapping[str, Any]) -> None:
        sheet = self.sheet
        sheet.step(
            "What is no longer lawful is withheld",
            "Montenegro's gateway comes back. Two notices of Albania were published while it was away, both lawful then; one "
            "of them names persons.",
        )
        await self.gateways.start(session, ["me"])
        await self.arrived("me", "last")
        held = await self.held("me")
        sheet.table(("Held by the broker", "Why"), [_held_row(one) for one in held])
        sheet.claim("The one without persons has arrived", await self.has("me", "last"))
        sheet.claim("The other has not", not await self.has("me", "waiting"))
        said = {(one["notice_id"], one["condition"]["id"]) for one in told["withheld"]["listed"]}
        sheet.claim(
            "The broker holds what the simulation said, by the condition that it named",
            {(one.notice_id, one.condition) for one in held} == said,
        )
        wanted = _seizure("AL-6", persons=True, conditions=[_SAFEGUARDS], to=[f"kz/{FOCAL_POINT}"])
        status = await self.post("new", wanted)
        got = {one["participant"] for one in status["recipients"]}
        sheet.claim(
            "What only the new law permits is published: to Kazakhstan, which is switched off",
            f"kz/{FOCAL_POINT}" in got,
        )

    async def _back(self, session: aiohttp.ClientSession) -> None:
        sheet = self.sheet
        sheet.step(
            "The old text is signed again, as a new version: what was held is offered again",
            "And what was lawful in between only, and was not fetched, is withheld.",
        )
        place = ("--deployment", "deployment.json")
        await self.sign(OFFICER, "law", "restore", ALBANIA, *place, "--out", "al-law.update.json")
        await self.sign(FOCAL_POINT, "law", "sign", "al-law.update.json", *place)
        await self.upload()
        await self.arrived("me", "waiting")
        sheet.claim("Montenegro's gateway has received what was held, without asking", await self.has("me", "waiting"))
        sheet.claim("Nothing is held from Montenegro any more", not await self.held("me"))
        await self.gateways.start(session, ["kz"])
        await self.arrived("kz", "last")
        held = await self.held("kz")
        sheet.table(("Held by the broker", "Why"), [_held_row(one) for one in held])
        sheet.claim("Kazakhstan's gateway comes back and has what names nobody", await self.has("kz", "last"))
        sheet.claim(
            "What the new law permitted, and the old one does not, is withheld from it",
            {one.notice_id for one in held} == {self.notices["new"]} and not await self.has("kz", "new"),
        )


def _seizure(
    reference: str, *, persons: bool = False, conditions: Sequence[object] = (), to: Sequence[str] = ()
) -> dict[str, Any]:
    notice: dict[str, Any] = {**examples("seizure"), "reference": reference}
    if persons:
        notice["nominal"] = _PERSONS
    else:
        notice.pop("nominal", None)
    label: dict[str, Any] = {"purpose": "investigation", "conditions": list(conditions)}
    return {"topic": "south-eastern-europe.seizures", "notice": notice, "label": label, "to": list(to)}


def _changed(request: dict[str, Any], way: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the request with a set of changes made, as its drafter would make them."""
    terms, label = request["notice"]["terms"], request["label"]
    for one in way:
        value = str(one["value"])
        if one["way"] == "nominal":
            request["notice"].pop("nominal")
        elif one["way"] == "final-interception":
            terms["final_interception"] = True
        elif one["way"] == "languages":
            terms["languages"] = sorted({*terms["languages"], value})
        elif one["way"] == "transfer-basis":
            label.setdefault("conditions", []).append({"code": "transfer-basis", "values": [value]})
        elif one["way"] == "undertaking":
            label.setdefault("conditions", []).append({"code": value})
        else:
            raise DemoError(f"The case does not know how to make a change of {one['way']}.")
    return request


def _difference(before: str, after: str) -> list[tuple[str, str]]:
    """Return what a draft takes out (-) and puts in (+), in one language of the six."""
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    lines = [(line[0], line[2:]) for line in found if line[0] in "+-" and not line[2:].startswith("#")]
    return [(sign, text) for sign, text in lines if not text.startswith(_OTHERS)]


_OTHERS: Final = tuple(f'{language} = "' for language in ("fr", "de", "it", "ru", "es"))


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['notices']} for {row['state'].upper()}" for row in rows)


def _held_row(one: Held) -> tuple[str, str]:
    return (
        f"a notice of {one.sender}",
        f"{article({'instrument': one.instrument, 'article': one.article})}: {reason(dict(one.reason))}",
    )
