"""What the board adds up to, on a board written by the real book."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from made_up_board import NOW, MadeUp, made_up_day

from gateway.book.board import BoardReader
from gateway.errors import Scope
from gateway.fichier import State
from gateway.follow import figures
from gateway.follow.headline import headline
from gateway.formats.days import iso


@pytest.fixture
def made(tmp_path: Path) -> Iterator[MadeUp]:
    opened = MadeUp(tmp_path, tmp_path / "board.db")
    yield opened
    opened.close()


@pytest.fixture
def board(tmp_path: Path) -> BoardReader:
    return BoardReader(tmp_path / "board.db")


def test_the_facts_of_a_day(made: MadeUp, board: BoardReader) -> None:
    ids = made_up_day(made)
    made.hold(ids[State.SEALED], "Pas de mandat.")
    facts = figures.read_facts(board, NOW)
    assert facts.waiting == {"INTEGRATED": 4, "REFUSED": 1, "SENT": 1, "SIGNED": 1, "CHECKED": 1, "RECEIVED": 1}
    assert (facts.held, facts.integrated_today, facts.refused, facts.rejected_factures) == (
        1, 4, {"B2-017": 1}, 1,
    )  # fmt: skip
    assert (facts.negative_lots_lately, facts.silent_lots) == (0, 0)
    assert facts.last_received == iso(NOW - timedelta(minutes=30))


def test_an_empty_board_has_facts_too(made: MadeUp, board: BoardReader) -> None:
    facts = figures.read_facts(board, NOW)
    assert (facts.waiting, facts.held, facts.last_integrated, facts.last_received) == ({}, 0, "", "")
    assert figures.sums(board) == {"factures": 0, "asked": 0, "paid": 0, "rejected": 0, "silent": 0}


def test_no_board_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        figures.read_facts(BoardReader(tmp_path / "none.db"), NOW)


def test_refusals_are_forgotten_after_a_week_and_arls_are_late_after_three_days(
    made: MadeUp, board: BoardReader
) -> None:
    ids = made_up_day(made)
    made.change("UPDATE lots SET arl = 'negative', arl_at = ? WHERE fichier = ?", iso(NOW), ids[State.SENT])
    for days, counts in ((0, (1, 1, 1, 0)), (4, (1, 1, 1, 4)), (8, (0, 0, 0, 4))):
        facts = figures.read_facts(board, NOW + timedelta(days=days))
        found = (sum(facts.refused.values()), facts.negative_lots_lately, facts.rejected_factures, facts.silent_lots)
        assert found == counts


def test_the_work_list(made: MadeUp, board: BoardReader) -> None:
    ids = made_up_day(made)
    made.hold(ids[State.SEALED], "Pas de mandat.")
    for key, code in (("mandate", "OCT-011"), ("card", "CMS-036")):
        one = made.fichier(key, State.REFUSED)
        made.change("UPDATE fichiers SET reason_code = ? WHERE id = ?", code, one)
    made.condition(Scope.CARD, "card", "CPS-LOCKED", "Le code porteur est attendu.", state="locked")
    facts = figures.read_facts(board, NOW)
    listed = [(task.text, task.href) for task in figures.tasks(facts, headline(facts, NOW))]
    assert listed == [
        ("1 fichier à signer", "/#signature"),
        ("1 fichier attend une décision", "/fichiers?etat=held"),
        ("1 fichier refusé à corriger", "/fichiers?etat=REFUSED"),
        ("2 fichiers refusés à renvoyer", "/fichiers?etat=REFUSED"),
        ("1 facture rejetée à traiter", "/factures?part=R"),
    ]


def test_lists_can_be_narrowed(made: MadeUp, board: BoardReader) -> None:
    ids = made_up_day(made)
    made.hold(ids[State.SEALED], "Pas de mandat.")
    assert len(figures.fichiers(board)) == 10
    assert [row["id"] for row in figures.fichiers(board, "REFUSED")] == [ids[State.REFUSED]]
    assert [row["id"] for row in figures.fichiers(board, "held")] == [ids[State.SEALED]]
    assert figures.fichiers(board, "' OR 1=1 --") == []
    assert len(figures.lots(board, NOW)) == 13
    assert [row["rank"] for row in figures.lots(board, NOW, "positive")] == [1]
    assert len(figures.lots(board, NOW + timedelta(days=4), "late")) == 4
    assert len(figures.factures(board)) == 26
    assert [(row["fichier"], row["number"]) for row in figures.factures(board, "R")] == [
        (ids[State.INTEGRATED], "001000001")
    ]
    assert figures.factures(board, "P") == figures.factures(board, "R")
    assert len(figures.factures(board, "none")) == 25
    assert [row["received"] for row in figures.fichiers(board)] == sorted(
        (row["received"] for row in figures.fichiers(board)), reverse=True
    )


def test_the_sums(made: MadeUp, board: BoardReader) -> None:
    made_up_day(made)
    assert figures.sums(board) == {
        "factures": 26, "asked": 26 * 2650, "paid": 1855, "rejected": 795, "silent": 25 * 2650,
    }  # fmt: skip
