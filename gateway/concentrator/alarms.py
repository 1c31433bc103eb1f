"""The alarms of the receiving end: what each asks of a person, and when it is over.

Rules.  An alarm is written where it is met (``Store.alarm``), once, and is never changed.  It is over when the store
itself shows so, or when a word says so: a row OCT-023 of its own about « code about », of a person (``settle``) or
of the concentrator (``settle_ends``).  What is over is kept.  Nothing here writes an alarm, and nothing decides by one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.errors import Refused, Scope
from gateway.formats.days import iso

SETTLED = "OCT-023"
"""The word on an alarm that it is dealt with."""
ENDS = "OCT-022"
"""A certificate of ours or an authority ends soon."""
REPLACED = "Ce certificat n'est plus dans les réglages, ou un autre lui succède."


@dataclass(frozen=True)
class Rule:
    """``advice``: what a person does, in French; ``over``: the SQL condition on a row of ``alarms`` that it is over."""

    advice: str
    over: str = "0"


_HANDED_OVER = "NOT EXISTS (SELECT 1 FROM mailbox WHERE sender || ' ' || name = alarms.about AND delivered = '')"
_JUDGED = (
    "EXISTS (SELECT 1 FROM verdicts WHERE instr(alarms.about, sender || ' ' || fichier || '.') = 1"
    " AND verdict <> 'unopened' AND verdicts.at >= alarms.at)"
)
_ROOM = (
    "EXISTS (SELECT 1 FROM transfers WHERE received <> '' AND CASE WHEN alarms.about LIKE 'disque %'"
    " THEN received >= date(alarms.at, '+1 day') ELSE alarms.about LIKE '%.' || sealed END)"
)
_ACCEPTED = (
    "EXISTS (SELECT 1 FROM alarms AS word WHERE word.code = 'OCT-016' AND word.at >= alarms.at"
    " AND instr(word.about, substr(alarms.about, 1, instr(alarms.about, ' journal') + 7)) = 1)"
)
_GOOD_SINCE = (
    "EXISTS (SELECT 1 FROM heads WHERE instr(alarms.about, sender || ' journal') = 1 AND heads.at <> ''"
    " AND heads.seen > alarms.at)"
)
_GOOD_AGAIN = f"{_ACCEPTED} OR {_GOOD_SINCE}"
_COLLECTED = (
    "NOT EXISTS (SELECT 1 FROM mailbox WHERE instr(alarms.about, sender || ' ') = 1 AND delivered = ''"
    " AND made <= alarms.at)"
)
_RENEWED = (
    "EXISTS (SELECT 1 FROM renewals WHERE instr(alarms.about, partner || ' ') = 1 AND renewals.at > alarms.at)"
    " OR EXISTS (SELECT 1 FROM enrolments WHERE instr(alarms.about, partner || ' ') = 1 AND enrolments.at > alarms.at)"
)

_JOURNAL = (
    "Appeler le cabinet : le boîtier a-t-il été restauré ou remplacé ? Si oui, gateway concentrator accept-journal ;"
    " sinon, garder les reçus et faire examiner ce boîtier (docs/journal.md)."
)

RULES: Mapping[str, Rule] = {
    "OCT-006": Rule(
        "Voir si ce boîtier vient encore et arrive au bout de ses réceptions ; les autres retours ne l'attendent pas.",
        _HANDED_OVER,
    ),
    "OCT-009": Rule("Rien tout de suite : le boîtier scelle de nouveau. Si cela revient, voir son dépôt.", _JUDGED),
    "OCT-010": Rule("Relever limit de [concentrator], ou demander au cabinet des fichiers plus petits.", _JUDGED),
    "OCT-013": Rule(_JOURNAL, _ACCEPTED),
    "OCT-014": Rule(_JOURNAL, _ACCEPTED),
    "OCT-015": Rule(
        "Voir si box_sign de ce correspondant et les listes de révocation sont à jour (docs/journal.md).", _GOOD_AGAIN
    ),
    "OCT-016": Rule("Rien : c'est la trace d'une décision.", "1"),
    "OCT-017": Rule("Demander au cabinet si journal_to_oct de [keeper] a été mis à false, et par qui.", _GOOD_AGAIN),
    "OCT-019": Rule(
        "Rendre un ancien certificat de scellement (former_seals), ou enrôler de nouveau ce boîtier (docs/cles.md).",
        _HANDED_OVER,
    ),
    "OCT-020": Rule("Faire de la place sur le disque du concentrateur ; tout reprend de soi-même.", _ROOM),
    "OCT-021": Rule("Faire de la place dans ce répertoire SFTP, ou relever son quota (docs/reserve.md).", _COLLECTED),
    ENDS: Rule("Mettre le certificat suivant dans les réglages et relancer le concentrateur (docs/cles.md)."),
}  # fmt: skip
"""By code; any other is the reason why a renewal was refused."""

RENEWAL = Rule(
    "Chercher ce code dans docs/codes.md ; si le boîtier ne peut pas renouveler, l'enrôler de nouveau (docs/cles.md).",
    _RENEWED,
)

_OVER = " ".join(f"WHEN '{code}' THEN {rule.over}" for code, rule in RULES.items())
_ALARMS = f"""
SELECT at, code, about, text, CASE code {_OVER} ELSE {RENEWAL.over} END AS over,
       (SELECT word.at FROM alarms AS word WHERE word.code = '{SETTLED}'
        AND word.about = alarms.code || ' ' || alarms.about) AS settled,
       (SELECT word.text FROM alarms AS word WHERE word.code = '{SETTLED}'
        AND word.about = alarms.code || ' ' || alarms.about) AS word
FROM alarms WHERE code <> '{SETTLED}' ORDER BY at, code, about
"""  # noqa: S608


def alarms(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Every alarm, the oldest first: ``at``, ``code``, ``about``, ``text``, ``advice``, ``open``, and of one that was
    said to be dealt with ``settled`` (ISO moment, else '') and ``word``."""
    found = []
    for row in connection.execute(_ALARMS):
        told = {name: row[name] for name in ("at", "code", "about", "text")}
        told["advice"] = RULES.get(row["code"], RENEWAL).advice
        told["open"] = not row["over"] and row["settled"] is None
        found.append({**told, "settled": row["settled"] or "", "word": row["word"] or ""})
    return found


def settle(connection: sqlite3.Connection, code: str, about: str, why: str, at: datetime) -> None:
    """A person says that an open alarm is dealt with; Refused OCT-024 (scope box) where none is open."""
    if not any(row["open"] and (row["code"], row["about"]) == (code, about) for row in alarms(connection)):
        raise Refused("OCT-024", f"Aucune alarme {code} n'est ouverte pour « {about} ».", Scope.BOX)
    connection.execute("INSERT INTO alarms VALUES (?, ?, ?, ?)", (f"{code} {about}", SETTLED, why, iso(at)))


def settle_ends(connection: sqlite3.Connection, current: Collection[str], at: datetime) -> None:
    """Of the alarms on certificates that end, only those about the ``current`` ones go on; one that is back goes on."""
    names = json.dumps(sorted(current))
    connection.execute(
        "DELETE FROM alarms WHERE code = ? AND text = ? AND about IN (SELECT ? || ' ' || value FROM json_each(?))",
        (SETTLED, REPLACED, ENDS, names),
    )
    connection.execute(
        "INSERT OR IGNORE INTO alarms SELECT code || ' ' || about, ?, ?, ? FROM alarms"
        " WHERE code = ? AND about NOT IN (SELECT value FROM json_each(?))",
        (SETTLED, REPLACED, iso(at), ENDS, names),
    )
