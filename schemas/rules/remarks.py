"""What a review tells the author of a law profile, in the six languages.

A sentence has the English one's places for values in braces. A remark about a condition is said behind its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.codes import LANGUAGES
from schemas.ids import Code


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark: its code (a key of `SENTENCES`), the condition that it is about or None, and the sentence's values."""

    code: str
    condition: Code | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, language: str = "en") -> str:
        """Return the remark in one of the six languages."""
        said = SENTENCES[self.code][language].format(**self.values)
        return said if self.condition is None else f"{self.condition}: {said}"


def _said(*sentences: str) -> Mapping[str, str]:
    return dict(zip(LANGUAGES, sentences, strict=True))


SENTENCES: Final[Mapping[str, Mapping[str, str]]] = {
    "ends": _said(
        "ends on {time}.",
        "prend fin le {time}.",
        "endet am {time}.",
        "termina il {time}.",
        "действует до {time}.",
        "termina el {time}.",
    ),
    "has-ended": _said(
        "has ended on {time}.",
        "a pris fin le {time}.",
        "ist am {time} ausgelaufen.",
        "è terminata il {time}.",
        "утратило силу {time}.",
        "terminó el {time}.",
    ),
    "ends-soon": _said(
        "ends soon, on {time}.",
        "prend bientôt fin, le {time}.",
        "endet bald, am {time}.",
        "termina presto, il {time}.",
        "скоро утратит силу, {time}.",
        "termina pronto, el {time}.",
    ),
    "none-in-force": _said(
        "From {time} on no condition is in force.",
        "À partir du {time}, aucune condition n'est en vigueur.",
        "Ab {time} ist keine Bedingung in Kraft.",
        "Dal {time} nessuna condizione è in vigore.",
        "С {time} ни одно условие не действует.",
        "A partir del {time} no hay ninguna condición en vigor.",
    ),
    "no-explanation": _said(
        "has no explanation of its own: readers get the general sentence of the type {type}.",
        "n'a pas d'explication propre : les lecteurs voient la phrase générale du type {type}.",
        "hat keine eigene Erklärung: gezeigt wird der allgemeine Satz des Typs {type}.",
        "non ha una spiegazione propria: i lettori vedono la frase generale del tipo {type}.",
        "не имеет собственного пояснения: читатели видят общее предложение типа {type}.",
        "no tiene explicación propia: los lectores ven la frase general del tipo {type}.",
    ),
    "english-instead": _said(
        "has no explanation in {languages}: readers get English.",
        "n'a pas d'explication en {languages} : les lecteurs la voient en anglais.",
        "hat keine Erklärung in {languages}: gezeigt wird die englische.",
        "non ha una spiegazione in {languages}: i lettori vedono quella inglese.",
        "не имеет пояснения на языках {languages}: читатели видят английское.",
        "no tiene explicación en {languages}: los lectores la ven en inglés.",
    ),
    "general-instead": _said(
        "has no explanation in {languages}: readers get the general sentence of its type.",
        "n'a pas d'explication en {languages} : les lecteurs voient la phrase générale de son type.",
        "hat keine Erklärung in {languages}: gezeigt wird der allgemeine Satz des Typs.",
        "non ha una spiegazione in {languages}: i lettori vedono la frase generale del suo tipo.",
        "не имеет пояснения на языках {languages}: читатели видят общее предложение типа.",
        "no tiene explicación en {languages}: los lectores ven la frase general de su tipo.",
    ),
    "all-excepted": _said(
        "can never apply: all its counterparts are excepted.",
        "ne peut jamais s'appliquer : toutes ses contreparties sont exceptées.",
        "kann nie gelten: alle Gegenüber sind ausgenommen.",
        "non può mai applicarsi: tutte le sue controparti sono escluse.",
        "никогда не применяется: все контрагенты исключены.",
        "nunca puede aplicarse: todas sus contrapartes están exceptuadas.",
    ),
    "kinds-apart": _said(
        "can never apply: the type {type} is about {kinds} only.",
        "ne peut jamais s'appliquer : le type {type} ne concerne que {kinds}.",
        "kann nie gelten: der Typ {type} betrifft nur {kinds}.",
        "non può mai applicarsi: il tipo {type} riguarda solo {kinds}.",
        "никогда не применяется: тип {type} касается только {kinds}.",
        "nunca puede aplicarse: el tipo {type} trata solo de {kinds}.",
    ),
    "nominal-only": _said(
        "can never apply: the type {type} is about nominal notices only.",
        "ne peut jamais s'appliquer : le type {type} ne concerne que les avis nominatifs.",
        "kann nie gelten: der Typ {type} betrifft nur Mitteilungen mit Personendaten.",
        "non può mai applicarsi: il tipo {type} riguarda solo avvisi nominativi.",
        "никогда не применяется: тип {type} касается только сообщений с данными о лицах.",
        "nunca puede aplicarse: el tipo {type} trata solo de avisos nominativos.",
    ),
    "permits-all": _said(
        "can never deny: it applies only to purposes that it permits.",
        "ne peut jamais refuser : elle ne s'applique qu'aux finalités qu'elle permet.",
        "kann nie ablehnen: sie gilt nur für Zwecke, die sie erlaubt.",
        "non può mai negare: si applica solo a finalità che permette.",
        "никогда не запрещает: применяется только к целям, которые разрешает.",
        "nunca puede denegar: solo se aplica a finalidades que permite.",
    ),
    "denies-all": _said(
        "always denies: it applies only to purposes that it does not permit.",
        "refuse toujours : elle ne s'applique qu'aux finalités qu'elle ne permet pas.",
        "lehnt immer ab: sie gilt nur für Zwecke, die sie nicht erlaubt.",
        "nega sempre: si applica solo a finalità che non permette.",
        "всегда запрещает: применяется только к целям, которые не разрешает.",
        "siempre deniega: solo se aplica a finalidades que no permite.",
    ),
    "applies-inside": _said(
        "applies inside the State too: except {state} if it should not.",
        "s'applique aussi à l'intérieur de l'État : exceptez {state} si ce n'est pas voulu.",
        "gilt auch innerhalb des Staates: {state} ausnehmen, wenn das nicht gewollt ist.",
        "si applica anche all'interno dello Stato: escludere {state} se non è voluto.",
        "применяется и внутри государства: исключите {state}, если это не нужно.",
        "se aplica también dentro del Estado: exceptúe {state} si no debe ser así.",
    ),
    "decides-nothing": _said(
        "never decides anything: wherever it applies, {other} denies.",
        "ne décide jamais rien : partout où elle s'applique, {other} refuse.",
        "entscheidet nie etwas: wo sie gilt, lehnt {other} ab.",
        "non decide mai nulla: ovunque si applichi, {other} nega.",
        "никогда ничего не решает: везде, где применяется, запрещает {other}.",
        "nunca decide nada: dondequiera que se aplique, {other} deniega.",
    ),
    "contradicts": _said(
        "contradicts {other}: nothing meets both.",
        "contredit {other} : rien ne satisfait aux deux.",
        "widerspricht {other}: nichts erfüllt beide.",
        "contraddice {other}: nulla le soddisfa entrambe.",
        "противоречит {other}: ничто не отвечает обоим.",
        "contradice {other}: nada cumple ambas.",
    ),
    "reply-outlasts": _said(
        "contradicts {other}: there must be more time to reply than a notice may be kept.",
        "contredit {other} : le délai de réponse est plus long que la durée de conservation d'un avis.",
        "widerspricht {other}: die Antwortfrist ist länger, als eine Mitteilung aufbewahrt werden darf.",
        "contraddice {other}: il termine per rispondere supera il tempo di conservazione di un avviso.",
        "противоречит {other}: срок для ответа длиннее срока хранения сообщения.",
        "contradice {other}: el plazo de respuesta es más largo que el de conservación de un aviso.",
    ),
    "all-denied": _said(
        "never decides anything: {other} denies all that it is about.",
        "ne décide jamais rien : {other} refuse tout ce dont elle traite.",
        "entscheidet nie etwas: {other} lehnt alles ab, worum es in ihr geht.",
        "non decide mai nulla: {other} nega tutto ciò di cui tratta.",
        "никогда ничего не решает: {other} запрещает всё, о чём в нём речь.",
        "nunca decide nada: {other} deniega todo aquello de lo que trata.",
    ),
    "never-asks": _said(
        "never asks for anything: wherever it would, {other} denies.",
        "ne demande jamais rien : partout où elle le ferait, {other} refuse.",
        "verlangt nie etwas: wo sie es täte, lehnt {other} ab.",
        "non chiede mai nulla: ovunque lo farebbe, {other} nega.",
        "никогда ничего не требует: везде, где потребовалось бы, запрещает {other}.",
        "nunca pide nada: dondequiera que lo haría, {other} deniega.",
    ),
    "unknown-code": _said(
        "{member} has a code that is not in the list.",
        "{member} contient un code qui n'est pas dans la liste.",
        "{member} hat einen Code, der nicht in der Liste steht.",
        "{member} ha un codice che non è nell'elenco.",
        "{member} содержит код, которого нет в списке.",
        "{member} tiene un código que no está en la lista.",
    ),
    "flaw": _said(
        "{member}: {detail}",
        "{member} ne peut être évalué, donc la condition refuse. {detail}",
        "{member} lässt sich nicht auswerten, daher lehnt die Bedingung ab. {detail}",
        "{member} non può essere valutato, quindi la condizione nega. {detail}",
        "{member} невозможно проверить, поэтому условие запрещает. {detail}",
        "{member} no puede evaluarse, así que la condición deniega. {detail}",
    ),
}
