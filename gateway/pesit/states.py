"""The states of a PeSIT connection and the only transitions between them, for both roles, in one table.

Rule 1: everything that decides which FPDU may be said or heard when, lives in this file.
Rule 2: this file does not know which role we play. A state ends in A for the requester, in B for the
server; the role of a session is nothing but the state in which it starts.

States are named as in the standard (F-52), with the letter always written. Ours: MG01 (a message said,
its ACK due), MG02 (a segmented message under way), and the suffix ``ab`` for what the tables of the standard
write as condition ab: after an IDT only CRF and DESELECT may follow (F-62).
Events are FPDU names behind ``!`` (said by us) or ``?`` (heard); ``-`` behind the name of an ACK is a refusal.
Window, access type and parameters are not looked at here: they move no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NewType

from gateway.pesit.fpdus import FPDUS

State = NewType("State", str)


class IllegalTransition(Exception):
    """No row for this event in this state. Ours: a bug. Theirs: ABORT 3.311."""

    def __init__(self, state: State, event: str) -> None:
        super().__init__(f"{event} in {state}")
        self.state = state
        self.event = event


REFUSABLE = frozenset({"ACK(CREATE)", "ACK(SELECT)", "ACK(ORF)", "ACK(READ)", "ACK(WRITE)"})
"""The ACKs whose diagnostic decides where the state goes (F-53); CRF and DESELECT cannot be refused."""

_PLAIN = (
    # state, who says it, what, next state of both
    ("CN01", "A", "CONNECT", "CN02"),
    ("CN02", "B", "ACONNECT", "CN03"),
    ("CN02", "B", "RCONNECT", "CN01"),
    ("CN03", "A", "RELEASE", "CN04"),
    ("CN04", "B", "RELCONF", "CN01"),
    ("CN03", "A", "MSG", "MG01"),
    ("CN03", "A", "MSGDM", "MG02"),
    ("MG02", "A", "MSGMM", "MG02"),
    ("MG02", "A", "MSGFM", "MG01"),
    ("MG01", "B", "ACK(MSG)", "CN03"),
    ("CN03", "A", "CREATE", "SF01"),
    ("SF01", "B", "ACK(CREATE)", "SF03"),
    ("SF01", "B", "ACK(CREATE)-", "CN03"),
    ("CN03", "A", "SELECT", "SF02"),
    ("SF02", "B", "ACK(SELECT)", "SF03"),
    ("SF02", "B", "ACK(SELECT)-", "CN03"),
    ("SF03", "A", "DESELECT", "SF04"),
    ("SF04", "B", "ACK(DESELECT)", "CN03"),
    ("SF03", "A", "ORF", "OF01"),
    ("OF01", "B", "ACK(ORF)", "OF02"),
    ("OF01", "B", "ACK(ORF)-", "SF03"),
    ("OF02", "A", "CRF", "OF03"),
    ("OF03", "B", "ACK(CRF)", "SF03"),
    ("OF02", "A", "WRITE", "TDE01"),
    ("TDE01", "B", "ACK(WRITE)", "TDE02"),
    ("TDE01", "B", "ACK(WRITE)-", "OF02"),
    ("OF02", "A", "READ", "TDL01"),
    ("TDL01", "B", "ACK(READ)", "TDL02"),
    ("TDL01", "B", "ACK(READ)-", "OF02"),
    ("OF02ab", "A", "CRF", "OF03ab"),
    ("OF03ab", "B", "ACK(CRF)", "SF03ab"),
    ("SF03ab", "A", "DESELECT", "SF04"),
)

_ARTICLES = ("DTF", "DTFDA", "DTFMA", "DTFFA")
_PEER = {"A": "B", "B": "A"}

Row = tuple[str, str, str]


def _both(state: str, speaker: str, fpdu: str, target: str) -> Iterator[Row]:
    hearer = _PEER[speaker]
    yield state + speaker, "!" + fpdu, target + speaker
    yield state + hearer, "?" + fpdu, target + hearer


def _data(phase: str, sender: str) -> Iterator[Row]:
    """The data phase TDE (the requester sends) or TDL (the server sends): tables 7 to 10 of the standard."""
    receiver = _PEER[sender]
    for fpdu in (*_ARTICLES, "SYN"):
        yield from _both(f"{phase}02", sender, fpdu, f"{phase}02")
    yield from _both(f"{phase}02", sender, "DTF.END", f"{phase}07")
    for moment in ("02", "07"):
        yield from _both(phase + moment, receiver, "ACK(SYN)", phase + moment)
    yield from _both(f"{phase}07", "A", "TRANS.END", f"{phase}08")
    yield from _both(f"{phase}08", "B", "ACK(TRANS.END)", "OF02")
    for role in "AB":
        for moment in ("02", "07"):
            yield f"{phase}{moment}{role}", "!RESYN", f"{phase}03{role}"
        for moment in ("02", "07", "08"):
            yield f"{phase}{moment}{role}", "?RESYN", f"{phase}04{role}"
        for moment in ("01", "02", "03", "04", "07", "08"):
            yield f"{phase}{moment}{role}", "!IDT", f"{phase}05{role}"
            yield f"{phase}{moment}{role}", "?IDT", f"{phase}06{role}"
        yield f"{phase}03{role}", "?ACK(RESYN)", f"{phase}02{role}"
        yield f"{phase}04{role}", "!ACK(RESYN)", f"{phase}02{role}"
        yield f"{phase}05{role}", "?ACK(IDT)", f"OF02ab{role}"
        yield f"{phase}06{role}", "!ACK(IDT)", f"OF02ab{role}"
    # From the receiver of data a RESYN may come until TRANS.END is answered (F-56).
    if receiver == "B":
        yield f"{phase}08B", "!RESYN", f"{phase}03B"
    # Of two RESYN or IDT that cross, the requester's wins (F-59): the server drops its own.
    yield f"{phase}03B", "?RESYN", f"{phase}04B"
    yield f"{phase}05B", "?IDT", f"{phase}06B"


def _discards(phase: str, sender: str) -> Iterator[tuple[str, str]]:
    """What may still be on its way to one who said RESYN or IDT and is heard without effect (F-58, F-55)."""
    receiver = _PEER[sender]
    on_its_way = {sender: ["ACK(SYN)"], receiver: [*_ARTICLES, "SYN", "DTF.END"]}
    on_its_way["B"].append("TRANS.END")
    opening = "ACK(WRITE)" if phase == "TDE" else "ACK(READ)"
    for role in "AB":
        for fpdu in on_its_way[role]:
            yield f"{phase}03{role}", "?" + fpdu
            yield f"{phase}05{role}", "?" + fpdu
        yield f"{phase}05{role}", "?RESYN"
        yield f"{phase}05{role}", "?ACK(RESYN)"
    yield f"{phase}03A", "?RESYN"
    for fpdu in ("IDT", opening, opening + "-", "ACK(TRANS.END)"):
        yield f"{phase}05A", "?" + fpdu
    yield f"{phase}08{sender}", "?ACK(SYN)"


def _rows() -> Iterator[Row]:
    for row in _PLAIN:
        yield from _both(*row)
    yield from _data("TDE", "A")
    yield from _data("TDL", "B")
    # Ours: a requester may still interrupt in state 08 (F-56) while our ACK(TRANS.END) is on its way to it.
    # The standard has no row for that crossing; ACK(IDT) is all that can follow, in either phase.
    yield "OF02B", "?IDT", "TDE06B"
    for state, event in DISCARDED:
        yield state, event, state


DISCARDED = frozenset(
    (State(state), event) for phase, sender in (("TDE", "A"), ("TDL", "B")) for state, event in _discards(phase, sender)
)
"""The pairs that are heard without effect: the session takes them in and tells nobody."""


def _table() -> dict[tuple[State, str], State]:
    table = {(State(state), event): State(target) for state, event, target in _rows()}
    for state in {state for state, _ in table} - {"CN01A", "CN01B"}:
        # ABORT by either side at any time; nothing is answered (F-60).
        table[state, "!ABORT"] = table[state, "?ABORT"] = State("CN01" + state[-1])
    table[State("CN01B"), "!ABORT"] = State("CN01B")
    return table


TABLE = _table()
"""(state, event) to next state."""

STATES = frozenset({state for state, _ in TABLE} | set(TABLE.values()))
EVENTS = frozenset(
    mark + name + sign for mark in "!?" for name in FPDUS for sign in (("", "-") if name in REFUSABLE else ("",))
)
REQUESTER, SERVER = State("CN01A"), State("CN01B")
"""Where a session of either role starts and ends."""


def step(state: State, event: str) -> State:
    """The next state, or ``IllegalTransition`` when the table has no such row."""
    try:
        return TABLE[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
