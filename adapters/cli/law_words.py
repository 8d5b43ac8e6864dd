"""The words of a simulation's report in the six languages, by the English ones."""

from collections.abc import Mapping
from typing import Final

from adapters.cli.words import language
from schemas.codes import LANGUAGES

_TABLE: Final = """
Simulated change of law|Simulation d'un changement de loi|Simulierte Rechtsänderung|Simulazione di una modifica di legge|Моделирование изменения закона|Simulación de un cambio de ley
What the change would have done to past notices. It says what the rules decide, not what the law is.|Ce que le changement aurait fait des avis passés. Cela dit ce que décident les règles, non ce qu'est le droit.|Was die Änderung mit früheren Mitteilungen gemacht hätte. Es sagt, was die Regeln entscheiden, nicht was Recht ist.|Che cosa la modifica avrebbe fatto degli avvisi passati. Dice che cosa decidono le regole, non qual è il diritto.|Что изменение сделало бы с прошлыми сообщениями. Здесь сказано, что решают правила, а не каков закон.|Lo que el cambio habría hecho con avisos pasados. Dice lo que deciden las reglas, no lo que es derecho.
In short|En bref|In Kürze|In breve|Кратко|En resumen
Law of|Loi de|Recht von|Legge di|Закон государства|Ley de
Past notices|Avis passés|Frühere Mitteilungen|Avvisi passati|Прошлые сообщения|Avisos pasados
Of which opened|Dont ouverts|Davon geöffnet|Di cui aperti|Из них открыто|De ellos abiertos
States asked|États interrogés|Gefragte Staaten|Stati interrogati|Опрошено государств|Estados consultados
Would have been refused|Auraient été refusés|Wären abgewiesen worden|Sarebbero stati rifiutati|Были бы отклонены|Se habrían rechazado
Would have been allowed|Auraient été permis|Wären erlaubt worden|Sarebbero stati permessi|Были бы разрешены|Se habrían permitido
Not yet fetched, would be withheld|Pas encore retirés, seraient retenus|Noch nicht abgeholt, würden zurückgehalten|Non ancora ritirati, sarebbero trattenuti|Ещё не получены, были бы удержаны|Aún no recogidos, se retendrían
Withheld so far, would be offered|Retenus jusqu'ici, seraient proposés|Bisher zurückgehalten, würden angeboten|Finora trattenuti, sarebbero offerti|До сих пор удержаны, были бы предложены|Retenidos hasta ahora, se ofrecerían
Pairs of States in conflict|Paires d'États en conflit|Staatenpaare im Widerspruch|Coppie di Stati in conflitto|Пары государств в противоречии|Pares de Estados en conflicto
SHA-256 of the report|SHA-256 du rapport|SHA-256 des Berichts|SHA-256 del rapporto|SHA-256 отчёта|SHA-256 del informe
Who gains|Qui gagne|Wer gewinnt|Chi guadagna|Кто выигрывает|Quién gana
Who loses|Qui perd|Wer verliert|Chi perde|Кто теряет|Quién pierde
May publish less|Peut publier moins|Darf weniger veröffentlichen|Può pubblicare meno|Может публиковать меньше|Puede publicar menos
By which conditions|Par quelles conditions|Durch welche Bedingungen|Per quali condizioni|По каким условиям|Por qué condiciones
State|État|Staat|Stato|Государство|Estado
Notices|Avis|Mitteilungen|Avvisi|Сообщения|Avisos
Notices more|Avis en plus|Mitteilungen mehr|Avvisi in più|Больше сообщений|Avisos de más
Notices fewer|Avis en moins|Mitteilungen weniger|Avvisi in meno|Меньше сообщений|Avisos de menos
From|De|Von|Da|От|De
To|À|An|A|Кому|A
Lost|Perdus|Verloren|Persi|Потеряно|Perdidos
Gained|Gagnés|Gewonnen|Guadagnati|Получено|Ganados
Nothing passes any more|Plus rien ne passe|Nichts geht mehr durch|Non passa più nulla|Больше ничего не проходит|Ya no pasa nada
Condition|Condition|Bedingung|Condizione|Условие|Condición
Article|Article|Artikel|Articolo|Статья|Artículo
Reason|Motif|Grund|Motivo|Причина|Motivo
Denials|Refus|Ablehnungen|Dinieghi|Отказы|Denegaciones
Notice|Avis|Mitteilung|Avviso|Сообщение|Aviso
Sender|Expéditeur|Absender|Mittente|Отправитель|Remitente
Topic|Thème|Thema|Tema|Тема|Tema
Kind|Type|Art|Tipo|Вид|Tipo
Concerns|Concerne|Betrifft|Riguarda|Касается|Concierne a
Why|Pourquoi|Warum|Perché|Почему|Por qué
yes|oui|ja|sì|да|sí
no|non|nein|no|нет|no
… and {count} more; --out FILE has them.|… et {count} de plus ; --out FICHIER les contient.|… und {count} weitere; --out DATEI enthält sie.|… e altri {count}; --out FILE li contiene.|… и ещё {count}; они есть в --out ФАЙЛ.|… y {count} más; --out FICHERO los contiene.
"""

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    line.partition("|")[0]: dict(zip(LANGUAGES, line.split("|"), strict=True)) for line in _TABLE.strip().split("\n")
}


def said(words: str) -> str:
    """Return words of the report in the reader's language."""
    return WORDS[words][language()]
