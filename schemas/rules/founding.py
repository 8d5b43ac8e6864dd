"""The network rules that a root ceremony begins with, as data for `network.default_network`.

Participating States and partners as in Permanent Council Decision 1048 (2012) and the OSCE's own lists. Each group is a
dated fact: its members by an instrument, as of the day that `as_of` names. Laws refer to groups; a group permits nothing
but what a grant gives it. Root holders change the file, not this module (deploy/packs/network/network.json is a copy).
"""

from collections.abc import Mapping
from typing import Final


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_DECISION: Final = "OSCE Permanent Council Decision No. 1048 (2012)"
_VALISE: Final = "Valise network rules"

OSCE: Final = _codes(
    "ad al am at az ba be bg by ca ch cy cz de dk ee es fi fr gb ge gr hr hu ie is it kg kz li lt lu lv mc md me mk mn "
    "mt nl no pl pt ro rs ru se si sk sm tj tm tr ua us uz va"
)
EU: Final = _codes("at be bg cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl pl pt ro se si sk")
COE: Final = _codes(
    "ad al am at az ba be bg ch cy cz de dk ee es fi fr gb ge gr hr hu ie is it li lt lu lv mc md me mk mt nl no pl pt "
    "ro rs se si sk sm tr ua"
)
CIS: Final = _codes("am az by kg kz md ru tj uz")
CARICC: Final = _codes("az kg kz ru tj tm uz")
SELEC: Final = _codes("al ba bg gr hu md me mk ro rs tr")
PARTNERS: Final = _codes("af au dz eg il jo jp kr ma th tn")
ORGANISATIONS: Final = ("int-incb", "int-interpol", "int-osce", "int-unodc")

_EVERYBODY: Final = ("auditors", "organisations", "osce", "partners")
_AGENCIES: Final = _codes(
    "border customs drug-control fiu focal-point forensic-laboratory immigration judicial police prosecutor regulator"
)
_ON_NOTICES: Final = _codes(
    "ask_access ask_use certify close consent correct grant handover heartbeat issue outcome permit recall refuse stop "
    "withdraw"
)
_WIDE: Final = _codes("detection online practice precursors routes seizures substances")
_INCB: Final = ("int-incb",)
_PRECURSORS: Final = ("precursors",)
_CONVENTION: Final = "United Nations Convention against illicit traffic (1988)"
_OPEN: Final = ("detection", "practice", "routes", "substances")


def _text(en: str, fr: str, de: str, it: str, ru: str, es: str) -> dict[str, str]:
    return {"en": en, "fr": fr, "de": de, "it": it, "ru": ru, "es": es}


def _grant(
    name: str,
    legal: tuple[str, str],
    explanation: dict[str, str],
    to: tuple[str, ...],
    actions: tuple[str, ...],
    *,
    acts: tuple[str, ...] | None = None,
    agencies: tuple[str, ...] | None = None,
    themes: tuple[str, ...] | None = None,
    within: str = "any",
) -> dict[str, object]:
    return {
        "id": name,
        "instrument": legal[0],
        "article": legal[1],
        "explanation": explanation,
        "to": to,
        "actions": actions,
        "acts": acts,
        "agency_kinds": agencies,
        "roles": None,
        "kinds": None,
        "regions": None,
        "themes": themes,
        "within": within,
        "valid_from": None,
        "valid_to": None,
    }


_GRANTS: Final = (
    _grant(
        "acknowledgements",
        (_VALISE, "1"),
        _text(
            "Every participant in force may acknowledge what it received.",
            "Tout participant en activité peut accuser réception de ce qu'il a reçu.",
            "Jeder aktive Teilnehmer darf bestätigen, was er empfangen hat.",
            "Ogni partecipante attivo può confermare ciò che ha ricevuto.",
            "Каждый действующий участник может подтвердить получение.",
            "Todo participante en activo puede acusar recibo de lo que ha recibido.",
        ),
        _EVERYBODY,
        ("publish", "receive"),
        acts=("acknowledge",),
    ),
    _grant(
        "auditors-all",
        (_VALISE, "2"),
        _text(
            "Auditors of the network may read all statements, never contents.",
            "Les auditeurs du réseau peuvent lire toutes les déclarations, jamais les contenus.",
            "Prüfer des Netzes dürfen alle Erklärungen lesen, niemals Inhalte.",
            "I revisori della rete possono leggere tutte le dichiarazioni, mai i contenuti.",
            "Аудиторы сети могут читать все записи, но не содержание.",
            "Los auditores de la red pueden leer todas las declaraciones, nunca los contenidos.",
        ),
        ("auditors",),
        ("audit",),
        agencies=("auditor",),
    ),
    _grant(
        "auditors-of-a-state",
        (_VALISE, "3"),
        _text(
            "A State's auditors may read the statements of that State's participants, never contents.",
            "Les auditeurs d'un État peuvent lire les déclarations des participants de cet État, jamais les contenus.",
            "Prüfer eines Staates dürfen die Erklärungen der Teilnehmer dieses Staates lesen, niemals Inhalte.",
            "I revisori di uno Stato possono leggere le dichiarazioni dei suoi partecipanti, mai i contenuti.",
            "Аудиторы государства могут читать записи участников этого государства, но не содержание.",
            "Los auditores de un Estado pueden leer las declaraciones de sus participantes, nunca los contenidos.",
        ),
        ("osce", "partners"),
        ("audit",),
        agencies=("auditor",),
        within="own-role",
    ),
    _grant(
        "focal-point-administers",
        (_DECISION, "paragraph 20"),
        _text(
            "A focal point administers the participants of its own State or organisation.",
            "Un point focal administre les participants de son propre État ou de sa propre organisation.",
            "Eine Kontaktstelle verwaltet die Teilnehmer ihres eigenen Staates oder ihrer Organisation.",
            "Un punto di contatto amministra i partecipanti del proprio Stato o della propria organizzazione.",
            "Координационный центр управляет участниками своего государства или своей организации.",
            "Un punto focal administra a los participantes de su propio Estado o de su propia organización.",
        ),
        ("organisations", "osce", "partners"),
        ("administer",),
        agencies=("focal-point",),
        within="own-role",
    ),
    _grant(
        "incb-precursors-exchange",
        (_CONVENTION, "12"),
        _text(
            "The International Narcotics Control Board exchanges notices on precursors.",
            "L'Organe international de contrôle des stupéfiants échange des avis sur les précurseurs.",
            "Das Internationale Suchtstoffkontrollamt tauscht Meldungen über Grundstoffe aus.",
            "L'Organo internazionale per il controllo degli stupefacenti scambia avvisi sui precursori.",
            "Международный комитет по контролю над наркотиками обменивается уведомлениями о прекурсорах.",
            "La Junta Internacional de Fiscalización de Estupefacientes intercambia avisos sobre precursores.",
        ),
        _INCB,
        ("publish", "receive"),
        acts=_ON_NOTICES,
        agencies=("focal-point", "organisation"),
        themes=_PRECURSORS,
    ),
    _grant(
        "incb-precursors-subscribe",
        (_CONVENTION, "12"),
        _text(
            "The International Narcotics Control Board may subscribe to precursors.",
            "L'Organe international de contrôle des stupéfiants peut s'abonner aux précurseurs.",
            "Das Internationale Suchtstoffkontrollamt darf Grundstoffe abonnieren.",
            "L'Organo internazionale per il controllo degli stupefacenti può abbonarsi ai precursori.",
            "Международный комитет по контролю над наркотиками может подписаться на прекурсоры.",
            "La Junta Internacional de Fiscalización de Estupefacientes puede suscribirse a precursores.",
        ),
        _INCB,
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point", "organisation"),
        themes=_PRECURSORS,
        within="self",
    ),
    _grant(
        "incb-precursors-subscribe-focal-point",
        (_CONVENTION, "12"),
        _text(
            "The Board's focal point may subscribe its participants to precursors.",
            "Le point focal de l'Organe peut abonner ses participants aux précurseurs.",
            "Die Kontaktstelle des Amtes darf Grundstoffe für seine Teilnehmer abonnieren.",
            "Il punto di contatto dell'Organo può abbonare i suoi partecipanti ai precursori.",
            "Координационный центр Комитета может подписать его участников на прекурсоры.",
            "El punto focal de la Junta puede suscribir a sus participantes a precursores.",
        ),
        _INCB,
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point",),
        themes=_PRECURSORS,
        within="own-role",
    ),
    _grant(
        "leaving",
        (_VALISE, "4"),
        _text(
            "Every participant may end its own subscriptions.",
            "Tout participant peut mettre fin à ses propres abonnements.",
            "Jeder Teilnehmer darf seine eigenen Abonnements beenden.",
            "Ogni partecipante può terminare i propri abbonamenti.",
            "Каждый участник может прекратить свои подписки.",
            "Todo participante puede poner fin a sus propias suscripciones.",
        ),
        _EVERYBODY,
        ("subscribe",),
        acts=("unsubscribe",),
        within="self",
    ),
    _grant(
        "leaving-focal-point",
        (_DECISION, "paragraph 20"),
        _text(
            "A focal point may end the subscriptions of its own State's or organisation's participants.",
            "Un point focal peut mettre fin aux abonnements des participants de son État ou de son organisation.",
            "Eine Kontaktstelle darf Abonnements der Teilnehmer ihres Staates oder ihrer Organisation beenden.",
            "Un punto di contatto può terminare gli abbonamenti dei partecipanti di Stato o organizzazione propri.",
            "Координационный центр может прекратить подписки участников своего государства или своей организации.",
            "Un punto focal puede poner fin a las suscripciones de los participantes de su Estado u organización.",
        ),
        ("organisations", "osce", "partners"),
        ("subscribe",),
        acts=("unsubscribe",),
        agencies=("focal-point",),
        within="own-role",
    ),
    _grant(
        "organisations-exchange",
        (_DECISION, "paragraphs 20 to 24"),
        _text(
            "International organisations exchange notices on routes, substances, practice and detection.",
            "Les organisations internationales échangent des avis : itinéraires, substances, pratiques, détection.",
            "Internationale Organisationen tauschen Meldungen über Routen, Substanzen, Praxis und Detektion aus.",
            "Le organizzazioni internazionali scambiano avvisi su rotte, sostanze, prassi e rilevazione.",
            "Международные организации обмениваются уведомлениями о маршрутах, веществах, практике и обнаружении.",
            "Las organizaciones internacionales intercambian avisos sobre rutas, sustancias, prácticas y detección.",
        ),
        ("organisations",),
        ("publish", "receive"),
        acts=_ON_NOTICES,
        agencies=("focal-point", "organisation"),
        themes=_OPEN,
    ),
    _grant(
        "organisations-subscribe",
        (_DECISION, "paragraphs 20 to 24"),
        _text(
            "International organisations may subscribe to routes, substances, practice and detection.",
            "Les organisations internationales peuvent s'abonner aux itinéraires, substances, pratiques et détection.",
            "Internationale Organisationen dürfen Routen, Substanzen, Praxis und Detektion abonnieren.",
            "Le organizzazioni internazionali possono abbonarsi a rotte, sostanze, prassi e rilevazione.",
            "Международные организации могут подписаться на маршруты, вещества, практику и обнаружение.",
            "Las organizaciones internacionales pueden suscribirse a rutas, sustancias, prácticas y detección.",
        ),
        ("organisations",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point", "organisation"),
        themes=_OPEN,
        within="self",
    ),
    _grant(
        "organisations-subscribe-focal-point",
        (_DECISION, "paragraphs 20 to 24"),
        _text(
            "An organisation's focal point may subscribe its participants to the same themes.",
            "Le point focal d'une organisation peut abonner ses participants aux mêmes thèmes.",
            "Die Kontaktstelle einer Organisation darf dieselben Themen für ihre Teilnehmer abonnieren.",
            "Il punto di contatto di un'organizzazione può abbonare i suoi partecipanti agli stessi temi.",
            "Координационный центр организации может подписать её участников на те же темы.",
            "El punto focal de una organización puede suscribir a sus participantes a los mismos temas.",
        ),
        ("organisations",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point",),
        themes=_OPEN,
        within="own-role",
    ),
    _grant(
        "own-keys",
        (_VALISE, "5"),
        _text(
            "Every participant may revoke its own keys.",
            "Tout participant peut révoquer ses propres clés.",
            "Jeder Teilnehmer darf seine eigenen Schlüssel widerrufen.",
            "Ogni partecipante può revocare le proprie chiavi.",
            "Каждый участник может отозвать свои ключи.",
            "Todo participante puede revocar sus propias claves.",
        ),
        _EVERYBODY,
        ("administer",),
        acts=("revoke_key",),
        within="self",
    ),
    _grant(
        "partners-exchange",
        (_DECISION, "paragraph 24"),
        _text(
            "Agencies of partner States may publish, and receive what is addressed to them.",
            "Les services des États partenaires peuvent publier et recevoir ce qui leur est adressé.",
            "Behörden der Partnerstaaten dürfen veröffentlichen und empfangen, was an sie gerichtet ist.",
            "I servizi degli Stati partner possono pubblicare e ricevere ciò che è loro indirizzato.",
            "Ведомства государств-партнёров могут публиковать и получать то, что им адресовано.",
            "Los servicios de los Estados socios pueden publicar y recibir lo que se les dirige.",
        ),
        ("partners",),
        ("publish", "receive"),
        acts=_ON_NOTICES,
        agencies=_AGENCIES,
    ),
    _grant(
        "partners-subscribe",
        (_DECISION, "paragraph 24"),
        _text(
            "Partner States may subscribe to all themes but controlled deliveries, finance and requests.",
            "Les États partenaires peuvent s'abonner à tout sauf livraisons surveillées, finances et demandes.",
            "Partnerstaaten dürfen alle Themen außer kontrollierten Lieferungen, Finanzen und Ersuchen abonnieren.",
            "Gli Stati partner possono abbonarsi a tutti i temi tranne consegne controllate, finanza e richieste.",
            "Государства-партнёры могут подписаться на все темы, кроме контролируемых поставок, финансов и запросов.",
            "Los Estados socios pueden suscribirse a todo salvo entregas vigiladas, finanzas y solicitudes.",
        ),
        ("partners",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=_AGENCIES,
        themes=_WIDE,
        within="self",
    ),
    _grant(
        "partners-subscribe-focal-point",
        (_DECISION, "paragraph 24"),
        _text(
            "A partner State's focal point may subscribe its agencies to the same themes.",
            "Le point focal d'un État partenaire peut abonner ses services aux mêmes thèmes.",
            "Die Kontaktstelle eines Partnerstaates darf dieselben Themen für seine Behörden abonnieren.",
            "Il punto di contatto di uno Stato partner può abbonare i suoi servizi agli stessi temi.",
            "Координационный центр государства-партнёра может подписать его ведомства на те же темы.",
            "El punto focal de un Estado socio puede suscribir a sus servicios a los mismos temas.",
        ),
        ("partners",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point",),
        themes=_WIDE,
        within="own-role",
    ),
    _grant(
        "states-exchange",
        (_DECISION, "paragraphs 15, 19 and 20"),
        _text(
            "Agencies of participating States exchange information at all levels.",
            "Les services des États participants échangent des informations à tous les niveaux.",
            "Behörden der Teilnehmerstaaten tauschen Informationen auf allen Ebenen aus.",
            "I servizi degli Stati partecipanti scambiano informazioni a tutti i livelli.",
            "Ведомства государств-участников обмениваются информацией на всех уровнях.",
            "Los servicios de los Estados participantes intercambian información a todos los niveles.",
        ),
        ("osce",),
        ("publish", "receive"),
        acts=_ON_NOTICES,
        agencies=_AGENCIES,
    ),
    _grant(
        "states-subscribe",
        (_DECISION, "paragraphs 15, 19 and 20"),
        _text(
            "Agencies of participating States may subscribe to every topic.",
            "Les services des États participants peuvent s'abonner à tous les sujets.",
            "Behörden der Teilnehmerstaaten dürfen jedes Thema abonnieren.",
            "I servizi degli Stati partecipanti possono abbonarsi a ogni argomento.",
            "Ведомства государств-участников могут подписаться на любую тему.",
            "Los servicios de los Estados participantes pueden suscribirse a todos los temas.",
        ),
        ("osce",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=_AGENCIES,
        within="self",
    ),
    _grant(
        "states-subscribe-focal-point",
        (_DECISION, "paragraph 20"),
        _text(
            "A focal point may subscribe the agencies of its own State to every topic.",
            "Un point focal peut abonner les services de son propre État à tous les sujets.",
            "Eine Kontaktstelle darf für die Behörden ihres eigenen Staates jedes Thema abonnieren.",
            "Un punto di contatto può abbonare i servizi del proprio Stato a ogni argomento.",
            "Координационный центр может подписать ведомства своего государства на любую тему.",
            "Un punto focal puede suscribir a los servicios de su propio Estado a todos los temas.",
        ),
        ("osce",),
        ("subscribe",),
        acts=("subscribe",),
        agencies=("focal-point",),
        within="own-role",
    ),
)


def _group(name: str, instrument: str, as_of: str | None, members: tuple[str, ...]) -> dict[str, object]:
    return {"id": name, "instrument": instrument, "as_of": as_of, "members": members}


FOUNDING: Final[Mapping[str, object]] = {
    "v": 1,
    "participants": tuple(
        {"role": role, "suspended": False} for role in sorted((*OSCE, *PARTNERS, *ORGANISATIONS, "audit"))
    ),
    "groups": (
        _group("auditors", _VALISE, None, ("audit",)),
        # In force since that day. Parties as in the Agreement's title (UNODC; Kazakhstan's ratification law of 2008).
        _group("caricc", "Agreement on the establishment of CARICC", "2009-03-22", CARICC),
        # Who has ratified the Charter. Moldova's parliament had then begun to denounce it, which takes effect twelve
        # months after notification. Turkmenistan is an associate only; Ukraine never ratified the Charter.
        _group("cis", "Charter of the Commonwealth of Independent States (1993)", "2026-03-21", CIS),
        # The Russian Federation ceased to be a member on that day.
        _group("coe", "Statute of the Council of Europe (ETS No. 1)", "2022-03-16", COE),
        # The first day without the United Kingdom.
        _group("eu", "Treaty on European Union", "2020-02-01", EU),
        _group("organisations", f"{_DECISION}, paragraphs 20 to 24", None, ORGANISATIONS),
        _group("osce", "OSCE participating States", "2012-11-21", OSCE),
        _group("partners", "OSCE Partners for Co-operation", None, PARTNERS),
        # A session of its Council, with eleven member States (selec.org). Croatia and Slovenia signed, and are not among them.
        _group("selec", "Convention of the Southeast European Law Enforcement Center (2009)", "2019-06-04", SELEC),
    ),
    "grants": _GRANTS,
}
"""Ready to be written: members in the order of `network.Network`, everything sorted."""
