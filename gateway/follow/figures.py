"""What the board's rows add up to: the facts of the headline, the day's work list, sums of factures.

Reads the board only.  Moments compared in SQL are ISO UTC texts of one form, which sort as the moments do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.book.board import BoardReader
from gateway.fichier import State
from gateway.follow.headline import Facts, Headline
from gateway.follow.moments import midnight
from gateway.follow.refusals import CORRECT, cures
from gateway.formats.days import iso
from gateway.formats.words import plural

LATELY = timedelta(days=7)
"""How long a refusal keeps the headline from saying that all is well."""

ARL_EXPECTED = timedelta(days=3)
"""After that a lot without ARL is on the work list; a reminder of ours, not a legal delay."""


@dataclass(frozen=True)
class Task:
    """One thing that a person is to do, and the page where it is done."""

    text: str
    href: str


def read_facts(board: BoardReader, now: datetime) -> Facts:
    """The facts of the headline; FileNotFoundError while there is no board."""
    lately, today = iso(now - LATELY), iso(midnight(now))
    states = board.rows("SELECT state, count(*) AS n FROM fichiers WHERE held_since = '' GROUP BY state")
    sums = board.rows(
        "SELECT (SELECT count(*) FROM fichiers WHERE held_since <> '') AS held,"
        " (SELECT count(*) FROM fichiers WHERE state = 'INTEGRATED' AND since >= ?) AS integrated_today,"
        " (SELECT coalesce(max(since), '') FROM fichiers WHERE state = 'INTEGRATED') AS last_integrated,"
        " (SELECT coalesce(max(received), '') FROM fichiers) AS last_received,"
        " (SELECT count(*) FROM lots WHERE arl = 'negative' AND arl_at >= ?) AS negative_lots_lately,"
        " (SELECT count(*) FROM factures WHERE (amo_state = 'R' OR amc_state = 'R') AND settled >= ?)"
        "   AS rejected_factures,"
        " (SELECT count(*) FROM lots l JOIN fichiers f ON f.id = l.fichier"
        "   WHERE l.arl = '' AND f.state = 'INTEGRATED' AND f.since < ?) AS silent_lots",
        today, lately, lately, iso(now - ARL_EXPECTED),
    )[0]  # fmt: skip
    refused = board.rows(
        "SELECT reason_code, count(*) AS n FROM fichiers WHERE state = 'REFUSED' AND since >= ? GROUP BY reason_code",
        lately,
    )
    return Facts(
        waiting={row["state"]: row["n"] for row in states},
        conditions=board.conditions(),
        refused={row["reason_code"]: row["n"] for row in refused},
        **sums,
    )


def tasks(facts: Facts, headline: Headline) -> tuple[Task, ...]:
    """The work list of the day, most urgent first; empty when there is nothing to do."""
    asked = cures(facts.refused)
    to_resend = sum(count for one, count in asked.items() if one.resend)
    listed = (
        (facts.count(State.CHECKED) if headline.signature else 0, "fichier à signer", "fichiers à signer",
         "/#signature"),
        (facts.held, "fichier attend une décision", "fichiers attendent une décision", "/fichiers?etat=held"),
        (asked.get(CORRECT, 0), "fichier refusé à corriger", "fichiers refusés à corriger",
         "/fichiers?etat=REFUSED"),
        (to_resend, "fichier refusé à renvoyer", "fichiers refusés à renvoyer", "/fichiers?etat=REFUSED"),
        (facts.negative_lots_lately, "lot refusé (ARL négatif) à corriger", "lots refusés (ARL négatifs) à corriger",
         "/lots?arl=negative"),
        (facts.rejected_factures, "facture rejetée à traiter", "factures rejetées à traiter",
         "/factures?part=R"),
        (facts.silent_lots, "lot sans ARL à relancer", "lots sans ARL à relancer", "/lots?arl=late"),
    )  # fmt: skip
    return tuple(Task(plural(count, one, many), href) for count, one, many, href in listed if count)


def fichiers(board: BoardReader, state: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """The newest fichiers: all, those of a state, or those ``held``."""
    return board.rows(
        "SELECT * FROM fichiers WHERE ?1 = '' OR state = ?1 OR (?1 = 'held' AND held_since <> '')"
        " ORDER BY received DESC, id LIMIT ?2", state, limit,
    )  # fmt: skip


def lots(board: BoardReader, now: datetime, arl: str = "", limit: int = 500) -> list[dict[str, Any]]:
    """Lots of the newest fichiers: all, those whose ARL is ``positive`` or ``negative``, or ``late``."""
    return board.rows(
        "SELECT l.*, f.name, f.state, f.received FROM lots l JOIN fichiers f ON f.id = l.fichier"
        " WHERE ?1 = '' OR l.arl = ?1 OR (?1 = 'late' AND l.arl = '' AND f.state = 'INTEGRATED' AND f.since < ?2)"
        " ORDER BY f.received DESC, l.fichier, l.rank LIMIT ?3", arl, iso(now - ARL_EXPECTED), limit,
    )  # fmt: skip


def factures(board: BoardReader, part: str = "", limit: int = 500) -> list[dict[str, Any]]:
    """Factures of the newest fichiers: all, or those with a part paid ``P``, rejected ``R``, deferred ``D``, or
    with no news of either part, ``none``."""
    return board.rows(
        "SELECT v.*, l.number AS lot_number, l.arl, f.name, f.state, f.received FROM factures v"
        " JOIN lots l ON l.fichier = v.fichier AND l.rank = v.lot JOIN fichiers f ON f.id = v.fichier"
        " WHERE ?1 = '' OR v.amo_state = ?1 OR v.amc_state = ?1"
        " OR (?1 = 'none' AND v.amo_state = '' AND v.amc_state = '')"
        " ORDER BY f.received DESC, v.fichier, v.lot, v.rank LIMIT ?2", part, limit,
    )  # fmt: skip


def sums(board: BoardReader) -> dict[str, int]:
    """Over all factures shown: their count, and cents asked, paid, rejected, and without news."""
    return board.rows(
        "SELECT count(*) AS factures, coalesce(sum(amo + amc), 0) AS asked,"
        " coalesce(sum(amo_paid + amc_paid), 0) AS paid,"
        " coalesce(sum(CASE amo_state WHEN 'R' THEN amo ELSE 0 END"
        "            + CASE amc_state WHEN 'R' THEN amc ELSE 0 END), 0) AS rejected,"
        " coalesce(sum(CASE amo_state WHEN '' THEN amo ELSE 0 END"
        "            + CASE amc_state WHEN '' THEN amc ELSE 0 END), 0) AS silent FROM factures"
    )[0]
