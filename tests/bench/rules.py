"""`decide`, smallest changes, compiling and simulating, with 57 profiles of ten conditions; nothing is remembered."""

import random
import statistics
import time
from dataclasses import replace
from datetime import date
from fractions import Fraction

import orjson

from schemas.encoding import Time, from_seconds
from schemas.ids import Code, ParticipantId, Role, Topic
from schemas.label import Condition, Label
from schemas.rules.answer import answer
from schemas.rules.compile import compile_rules
from schemas.rules.content import Content
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.network import default_network
from schemas.rules.profile import compile_profile
from schemas.rules.simulate import Past, simulate

TODAY = date(2026, 3, 1)
PURPOSES = ("investigation", "prevention", "prosecution")
PROFILE = """
form = "law/1"
state = "{state}"
version = "1"
adopted = 2026-01-01
illustration = true
"""
CONDITIONS = (
    ("purpose", 'parameters = { purposes = ["investigation", "prosecution", "precursor-control"] }'),
    ("adequacy", 'parameters = { states = ["coe"], bases = ["safeguards"] }\napplies_to = { direction = "send" }'),
    ("nominal-recipients", 'parameters = { agency_kinds = ["focal-point", "police", "prosecutor"] }'),
    ("source-consent", 'applies_to = { direction = "send" }'),
    ("legal-basis", 'parameters = { bases = ["osce-decision-1048", "un-convention-1988", "untoc"] }'),
    ("copy-to-focal-point", 'parameters = { whose = "recipient" }\napplies_to = { kinds = ["controlled-delivery"] }'),
    ("retention", "parameters = { days = 90 }"),
    ("evidence-consent", 'effect = "oblige"\napplies_to = { direction = "receive" }'),
    ("cd-authority", 'parameters = { authorities = ["court", "prosecutor"] }'),
    ("not-permitted", 'applies_to = { direction = "send", counterparts = ["partners"], nominal = true }'),
)
LABEL = Label(
    kind=Code("route"),
    handling=(Code("h1"),),
    tlp=Code("amber"),
    pap=Code("amber"),
    classification=None,
    urgency=Code("informative"),
    purpose=Code("investigation"),
    legal_basis=Code("untoc"),
    nominal=True,
    exercise=False,
    reply_due=None,
    conditions=(),
)


def profiles(network):
    """Return 57 laws of ten conditions each."""
    states = next(group for group in network["groups"] if group["id"] == "osce")["members"]
    laws = {}
    for state in states:
        text = PROFILE.format(state=state)
        for name, rest in CONDITIONS:
            text += f'\n[[condition]]\nid = "c-{name}"\ntype = "{name}"\ninstrument = "An act"\narticle = "1"\n{rest}\n'
        laws[Role(state)] = compile_profile(text.encode(), today=TODAY)
    return laws


def point(role):
    """Return a State's focal point."""
    return Party(ParticipantId(f"{role}/focal-point"), Role(role), "focal-point", (), None, suspended=False)


def ask(sender, recipient, label=LABEL):
    """Return one question."""
    issued, expires = Time("2026-03-01T00:00:00Z"), Time("2026-05-01T00:00:00Z")
    return Facts("receive", "issue", Topic("osce.routes"), label, sender, recipient, issued, expires)


def timed(work, seconds=1.5, least=30):
    """Return the median seconds of a piece of work."""
    times, until = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < until:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def row(name, value, unit, goal, *, holds, beside=None):
    """Return one figure."""
    return {"name": name, "value": value, "unit": unit, "ratio": None, "beside": beside, "goal": goal, "holds": holds}


def run():
    """Return the figures."""
    data = default_network()
    network = orjson.loads(data)
    laws = profiles(network)
    compiling = timed(lambda: compile_rules(version=1, boundary=None, network=data, laws=laws), 3)
    rules = compile_rules(version=1, boundary=None, network=data, laws=laws)
    points = [point(state) for state in laws]
    # Half of all questions are denied by something.
    questions = [ask(point("al"), other) for other in points]
    stated = (Condition(Code("received-from"), (Code("it"),)),)
    hard = [
        ask(
            point("al"),
            other,
            replace(LABEL, purpose=Code("prevention"), conditions=stated),
        )
        for other in points
    ]
    one = statistics.median(timed(lambda q=q: decide(q, rules, evaluator="broker"), 0.03) for q in questions)
    every = timed(lambda: [decide(q, rules, evaluator="broker") for q in questions])
    changes = timed(lambda: [answer(q, rules, evaluator="broker") for q in hard])
    simulated, simulated_all, in_full = simulating(rules, laws, data)
    found = sum(len(answer(q, rules, evaluator="broker").changes) for q in hard)
    return [
        row("decide: one candidate", round(one * 1e6, 1), "µs", "≤ 10", holds=one <= 10e-6),
        row("decide: 57 candidates", round(every * 1e3, 2), "ms", "≤ 0.6", holds=every <= 0.6e-3),
        row(
            "decide: 57 with smallest changes",
            round(changes * 1e3, 1),
            "ms",
            "≤ 20",
            holds=changes <= 20e-3,
            beside=f"{found} sets of changes",
        ),
        row("rules: compile 57 profiles", round(compiling * 1e3, 1), "ms", "≤ 150", holds=compiling <= 0.15),
        row("simulate: one law changed, 57 States", round(simulated), "labels/s", "≥ 1,500", holds=simulated >= 1500),
        row(
            "simulate: all laws changed, 57 States",
            round(simulated_all),
            "labels/s",
            "≥ 1,500",
            holds=simulated_all >= 1500,
        ),
        row(
            "simulate: all laws changed, notices in full",
            round(in_full),
            "notices/s",
            "≥ 1,500",
            holds=in_full >= 1500,
        ),
    ]


def simulating(rules, laws, network):
    """Return how many past notices a second are simulated over: one law changed, all laws, all with contents to look at.

    No two of them are kept for the same time.
    """
    points = {state: point(state) for state in laws}
    tight = {**laws, Role("al"): laws[Role("al")].replace(b'"days":90', b'"days":30')}
    every = {state: data.replace(b'"days":90', b'"days":30') for state, data in laws.items()}
    rates = []
    for changed, opened in ((tight, False), (every, False), (every, True)):
        count = 20_000
        new = compile_rules(version=2, boundary=None, network=network, laws=changed)
        past = [past_notice(number, points, opened=opened) for number in range(count)]
        begun = time.perf_counter()
        simulate(past, points, rules, new)
        rates.append(count / (time.perf_counter() - begun))
    return rates


def past_notice(number, points, *, opened=False):
    """Return a past notice: its sender, label, times and content differ from most others'."""
    chance = random.Random(number)
    kind = Code("controlled-delivery" if opened else "route")
    label = replace(LABEL, kind=kind, purpose=Code(chance.choice(PURPOSES)), nominal=chance.random() < 0.3)
    issued = from_seconds(1_770_000_000 + number)
    kept = 86400 * chance.choice((30, 60, 90, 365)) + chance.randrange(86400)
    expires = from_seconds(1_770_000_000 + number + kept)
    sender = points[chance.choice(sorted(points))]
    content = None
    if opened:
        authorities = frozenset(chance.sample(("court", "ministry", "prosecutor"), 1))
        content = Content(kind, grams=Fraction(number), authorities=authorities)
    topic = Topic("osce.routes")
    return Past(number, str(number), "issue", topic, label, sender, issued, expires, content=content)


if __name__ == "__main__":
    for figure in run():
        print(figure["name"], figure["value"], figure["unit"], figure["goal"], figure["beside"] or "")
