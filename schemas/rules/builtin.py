"""What the rules say of their own accord: refusals without a law's condition, and the originator's handling codes.

Each has an article of these rules of decision (README.md beside this names them by the same numbers) and a sentence in
the six languages. H0 to H3 follow the handling codes that SIENA uses (design: domain); H3 is spelt out by conditions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.codes import LANGUAGES
from schemas.ids import Code, Role
from schemas.rules.verdict import Determination, Effect, Layer

INSTRUMENT: Final = "Valise rules of decision"
HANDLING_INSTRUMENT: Final = "Originator's handling code"
CONDITION_INSTRUMENT: Final = "Originator's handling condition"

SUSPENDED: Final = Code("suspended")
NO_GRANT: Final = Code("no-grant")
UNKNOWN_CODE: Final = Code("unknown-code")
NO_PROFILE: Final = Code("no-profile")
UNEVALUABLE: Final = Code("unevaluable")
OWN_COPY: Final = Code("own-copy")
CLEARANCE: Final = Code("clearance")
EXCLUDED_STATES: Final = Code("excluded-states")
EXCLUDED_AGENCIES: Final = Code("excluded-agencies")
DELETE_BY: Final = Code("delete-by")
H3: Final = Code("h3")


@dataclass(frozen=True, slots=True)
class Builtin:
    """One rule of these rules: its article, its sentence by language, and what it obliges to, if anything."""

    article: str
    reason: Mapping[str, str]
    obligation: Code | None = None


def _said(article: str, *sentences: str, obligation: str | None = None) -> Builtin:
    reason = dict(zip(LANGUAGES, sentences, strict=True))
    return Builtin(article, reason, None if obligation is None else Code(obligation))


ENGINE: Final[Mapping[Code, Builtin]] = {
    SUSPENDED: _said(
        "1",
        "The participant or its State is suspended.",
        "Le participant ou son État est suspendu.",
        "Der Teilnehmer oder sein Staat ist suspendiert.",
        "Il partecipante o il suo Stato è sospeso.",
        "Участник или его государство приостановлены.",
        "El participante o su Estado está suspendido.",
    ),
    NO_GRANT: _said(
        "2",
        "No rule of the network permits this to this participant.",
        "Aucune règle du réseau ne le permet à ce participant.",
        "Keine Regel des Netzes erlaubt dies diesem Teilnehmer.",
        "Nessuna regola della rete lo consente a questo partecipante.",
        "Ни одно правило сети не разрешает этого данному участнику.",
        "Ninguna regla de la red lo permite a este participante.",
    ),
    UNKNOWN_CODE: _said(
        "3",
        "A code is not in the code lists, so what it asks for cannot be observed.",
        "Un code ne figure pas dans les listes ; ce qu'il demande ne peut être respecté.",
        "Ein Code steht nicht in den Codelisten; was er verlangt, kann nicht eingehalten werden.",
        "Un codice non figura negli elenchi; ciò che richiede non può essere rispettato.",
        "Код отсутствует в списках, поэтому его требование нельзя соблюсти.",
        "Un código no figura en las listas; lo que exige no puede cumplirse.",
    ),
    NO_PROFILE: _said(
        "4",
        "The State has no signed law profile and takes no part until it has one.",
        "L'État n'a pas de profil juridique signé et ne participe pas tant qu'il n'en a pas.",
        "Der Staat hat kein unterzeichnetes Rechtsprofil und nimmt bis dahin nicht teil.",
        "Lo Stato non ha un profilo giuridico firmato e fino ad allora non partecipa.",
        "У государства нет подписанного правового профиля, и до этого оно не участвует.",
        "El Estado no tiene un perfil jurídico firmado y hasta entonces no participa.",
    ),
    UNEVALUABLE: _said(
        "5",
        "A condition cannot be evaluated, and what cannot be evaluated is denied.",
        "Une condition ne peut être évaluée ; ce qui ne peut être évalué est refusé.",
        "Eine Bedingung lässt sich nicht auswerten; was sich nicht auswerten lässt, wird abgelehnt.",
        "Una condizione non può essere valutata; ciò che non può essere valutato è negato.",
        "Условие невозможно проверить, а что нельзя проверить, то запрещено.",
        "Una condición no puede evaluarse; lo que no puede evaluarse se deniega.",
    ),
    OWN_COPY: _said(
        "6",
        "A participant may have what it wrote itself.",
        "Un participant peut avoir ce qu'il a écrit lui-même.",
        "Ein Teilnehmer darf haben, was er selbst geschrieben hat.",
        "Un partecipante può avere ciò che ha scritto.",
        "Участник может иметь то, что написал сам.",
        "Un participante puede tener lo que él mismo escribió.",
    ),
    CLEARANCE: _said(
        "7",
        "The recipient's clearance does not reach the classification.",
        "L'habilitation du destinataire est inférieure à la classification.",
        "Die Ermächtigung des Empfängers reicht für die Einstufung nicht aus.",
        "L'abilitazione del destinatario non raggiunge la classifica.",
        "Допуск получателя ниже степени секретности.",
        "La habilitación del destinatario no alcanza la clasificación.",
    ),
}

HANDLING: Final[Mapping[Code, Builtin]] = {
    Code("h0"): _said(
        "H0",
        "Use only to prevent and combat crime.",
        "À n'utiliser que pour prévenir et combattre la criminalité.",
        "Nur zur Verhütung und Bekämpfung von Straftaten verwenden.",
        "Da usare solo per prevenire e combattere la criminalità.",
        "Использовать только для предупреждения преступности и борьбы с ней.",
        "Usar solo para prevenir y combatir la delincuencia.",
        obligation="only-against-crime",
    ),
    Code("h1"): _said(
        "H1",
        "Do not use in court without the originator's permission.",
        "Ne pas utiliser en justice sans l'autorisation de l'émetteur.",
        "Nicht ohne Erlaubnis des Urhebers vor Gericht verwenden.",
        "Non usare in giudizio senza il permesso dell'originatore.",
        "Не использовать в суде без разрешения источника.",
        "No usar ante los tribunales sin permiso del originador.",
        obligation="ask-before-court",
    ),
    Code("h2"): _said(
        "H2",
        "Do not pass on without the originator's permission.",
        "Ne pas transmettre sans l'autorisation de l'émetteur.",
        "Nicht ohne Erlaubnis des Urhebers weitergeben.",
        "Non trasmettere senza il permesso dell'originatore.",
        "Не передавать дальше без разрешения источника.",
        "No transmitir sin permiso del originador.",
        obligation="ask-before-sharing",
    ),
}
"""H3 is not here: it announces the conditions below, and without any it cannot be evaluated."""

CONDITIONS: Final[Mapping[Code, Builtin]] = {
    EXCLUDED_STATES: _said(
        "excluded-states",
        "The originator excluded this State.",
        "L'émetteur a exclu cet État.",
        "Der Urheber hat diesen Staat ausgeschlossen.",
        "L'originatore ha escluso questo Stato.",
        "Источник исключил это государство.",
        "El originador excluyó a este Estado.",
    ),
    EXCLUDED_AGENCIES: _said(
        "excluded-agencies",
        "The originator excluded this agency.",
        "L'émetteur a exclu ce service.",
        "Der Urheber hat diese Behörde ausgeschlossen.",
        "L'originatore ha escluso questo servizio.",
        "Источник исключил это ведомство.",
        "El originador excluyó a este servicio.",
    ),
    Code("intelligence-only"): _said(
        "intelligence-only",
        "Use as intelligence only, not as evidence.",
        "À n'utiliser que comme renseignement, non comme preuve.",
        "Nur als Erkenntnis verwenden, nicht als Beweis.",
        "Da usare solo come intelligence, non come prova.",
        "Использовать только как оперативную информацию, не как доказательство.",
        "Usar solo como inteligencia, no como prueba.",
        obligation="intelligence-only",
    ),
    Code("ask-before-action"): _said(
        "ask-before-action",
        "Ask the originator before acting on it.",
        "Demander à l'émetteur avant d'agir.",
        "Vor Maßnahmen den Urheber fragen.",
        "Chiedere all'originatore prima di agire.",
        "Запросить источник, прежде чем действовать.",
        "Preguntar al originador antes de actuar.",
        obligation="ask-before-action",
    ),
    DELETE_BY: _said(
        "delete-by",
        "Delete it by the date given.",
        "À supprimer avant la date indiquée.",
        "Bis zum angegebenen Datum löschen.",
        "Da cancellare entro la data indicata.",
        "Удалить к указанной дате.",
        "Suprimir antes de la fecha indicada.",
        obligation="delete-by",
    ),
    Code("no-death-penalty-use"): _said(
        "no-death-penalty-use",
        "Do not use where it could lead to a death penalty.",
        "Ne pas utiliser si cela peut conduire à la peine de mort.",
        "Nicht verwenden, wo es zu einer Todesstrafe führen könnte.",
        "Non usare dove potrebbe portare alla pena di morte.",
        "Не использовать там, где это может привести к смертной казни.",
        "No usar donde pueda conducir a la pena de muerte.",
        obligation="no-death-penalty-use",
    ),
    Code("no-administrative-use"): _said(
        "no-administrative-use",
        "Do not use in administrative proceedings.",
        "Ne pas utiliser dans des procédures administratives.",
        "Nicht in Verwaltungsverfahren verwenden.",
        "Non usare in procedimenti amministrativi.",
        "Не использовать в административном производстве.",
        "No usar en procedimientos administrativos.",
        obligation="no-administrative-use",
    ),
    Code("sanitise-before-sharing"): _said(
        "sanitise-before-sharing",
        "Remove what identifies source and persons before passing it on.",
        "Retirer ce qui identifie la source et les personnes avant de transmettre.",
        "Vor Weitergabe entfernen, was Quelle und Personen erkennbar macht.",
        "Togliere ciò che identifica fonte e persone prima di trasmettere.",
        "Перед передачей удалить то, что раскрывает источник и лиц.",
        "Quitar lo que identifique a la fuente y a las personas antes de transmitir.",
        obligation="sanitise-before-sharing",
    ),
}

STATEMENTS: Final[Mapping[Code, str]] = {
    Code("authorised-by"): "authorities",
    Code("consent-of"): "states",
    Code("received-from"): "states",
    Code("transfer-basis"): "transfer-basis",
}
"""What a sender states of a notice in its label, for the laws that ask, and the list that its values are of."""

ANSWERS: Final = Code("answers")
"""What a sender states of a notice that answers what it refers to. Without values: it tells nobody whom it answers."""

RESERVED: Final = frozenset((*ENGINE, *HANDLING, *CONDITIONS, *STATEMENTS, ANSWERS, H3))
"""Ids that no profile's condition may bear, so that a verdict's condition means one thing."""


def refusal(
    condition: Code, layer: Layer, evaluator: str, state: Role | None = None, /, **parameters: str | tuple[str, ...]
) -> Determination:
    """Return what the rules of decision say when they deny; `parameters` say about what."""
    rule = ENGINE[condition]
    return Determination(
        condition=condition,
        layer=layer,
        state=state,
        effect=Effect.DENY,
        instrument=INSTRUMENT,
        article=rule.article,
        reason=rule.reason,
        evaluated_by=evaluator,
        parameters=parameters,
    )
