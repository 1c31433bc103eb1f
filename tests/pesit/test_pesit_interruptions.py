"""IDT in every state of the data phase, and FPDUs that cross: who wins, and what may follow."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.pesit.codec import Fpdu
from gateway.pesit.framing import Framing
from gateway.pesit.session import Acknowledged, Event, Session
from gateway.pesit.states import REQUESTER, SERVER, IllegalTransition
from gateway.pesit.transfer import Identity, Sync, SyncPoint, create, found, select

OK = {2: b"\0\0\0"}
FILE = Identity("FSE", 9, created="260101120000")
PI7 = Sync(1, 4).coded()
OPENING = {
    "TDE": [("a", create(FILE, restart=False)), ("b", Fpdu("ACK(CREATE)", {**OK, 25: 4096}))],
    "TDL": [("a", select(FILE, restart=False)), ("b", found(FILE, 4096))],
}
STARTED = {
    "TDE": [("a", Fpdu("WRITE")), ("b", Fpdu("ACK(WRITE)", {**OK, 18: 0}))],
    "TDL": [("a", Fpdu("READ", {18: 0})), ("b", Fpdu("ACK(READ)", OK))],
}
SENDER = {"TDE": "a", "TDL": "b"}


class Pair:
    """A requester and a server, brought to ``moment`` of a data phase ("03" and "04": RESYN said by either)."""

    def __init__(self, phase: str, moment: str, resyncs: str = "a") -> None:
        self.phase = phase
        self.sides = {"a": Session(REQUESTER, Framing.RAW, own_id=7), "b": Session(SERVER, Framing.RAW, own_id=9)}
        connect = Fpdu("CONNECT", {3: "BOX", 4: "OCT", 6: 2, 7: PI7, 22: 2, 23: 1})
        self.play(("a", connect), ("b", Fpdu("ACONNECT", {6: 2, 7: PI7, 23: 1})))
        self.play(*OPENING[phase], ("a", Fpdu("ORF")), ("b", Fpdu("ACK(ORF)", OK)))
        for side in self.sides.values():
            side.begin(SyncPoint())
        request, answer = STARTED[phase]
        self.play(request)
        if moment != "01":
            self.play(answer)
        if moment in ("07", "08"):
            self.play((SENDER[phase], Fpdu("DTF.END", OK)))
        if moment == "08":
            self.play(("a", Fpdu("TRANS.END")))
        if moment == "03":
            self.play((resyncs, Fpdu("RESYN", {2: b"\1\0\x64", 18: 0})))

    def play(self, *lines: tuple[str, Fpdu]) -> None:
        """Each FPDU said by one and heard by the other."""
        for speaker, fpdu in lines:
            names = [event.name for event in self.hear(speaker, self.sides[speaker].send(fpdu)) if event]
            assert names == [fpdu.name]

    def hear(self, speaker: str, said: bytes) -> list[Event]:
        """What the other one of ``speaker`` hears."""
        hearer = self.sides["b" if speaker == "a" else "a"]
        hearer.feed(said)
        return list(iter(hearer.next, None))

    @property
    def states(self) -> tuple[str, str]:
        """Of requester and server, without role."""
        return self.sides["a"].state[:-1], self.sides["b"].state[:-1]


@pytest.mark.fact("F-56", "F-58", "F-62", "F-110")
@pytest.mark.parametrize("code", [4, 8, 12, 16])
@pytest.mark.parametrize(
    ("phase", "moment", "resyncs", "speaker"),
    [
        (phase, moment, resyncs, speaker)
        for phase, moment, resyncs, speaker in product(SENDER, ("01", "02", "03", "07", "08"), "ab", "ab")
        if moment == "03" or resyncs == "a"
    ],
)
def test_idt_from_either_side_in_every_state(phase: str, moment: str, resyncs: str, speaker: str, code: int) -> None:
    pair = Pair(phase, moment, resyncs)
    pair.play((speaker, Fpdu("IDT", {2: b"\2\0\xd8", 19: code})))
    # What the other said before it heard is void.
    assert {state[-2:] for state in pair.states} == {"05", "06"}
    other = "b" if speaker == "a" else "a"
    pair.play((other, Fpdu("ACK(IDT)")))
    assert pair.states == ("OF02ab", "OF02ab")
    requester = pair.sides["a"]
    for name, values in (("ORF", {}), ("WRITE", {}), ("READ", {18: 0}), ("TRANS.END", {}), ("DESELECT", OK)):
        with pytest.raises(IllegalTransition):
            requester.send(Fpdu(name, values))
    pair.play(("a", Fpdu("CRF", {2: b"\2\0\xd8"})), ("b", Fpdu("ACK(CRF)", OK)))
    with pytest.raises(IllegalTransition):
        requester.send(Fpdu("ORF"))
    pair.play(("a", Fpdu("DESELECT", {2: b"\2\0\xd8"})), ("b", Fpdu("ACK(DESELECT)", OK)))
    assert pair.states == ("CN03", "CN03")
    pair.play(*OPENING["TDE"], ("a", Fpdu("ORF")), ("b", Fpdu("ACK(ORF)", OK)), STARTED["TDE"][0])


IDT, RESYN = Fpdu("IDT", {2: b"\2\0\xd8", 19: 4}), Fpdu("RESYN", {2: b"\1\0\x64", 18: 0})
END, DTF_END, POINT = Fpdu("TRANS.END"), Fpdu("DTF.END", OK), Fpdu("SYN", {20: 1})
ABORT = Fpdu("ABORT", {2: b"\3\x01\x3c"})
CROSSINGS = [
    # phase, moment, said by the requester, said by the server, whose is answered, states of both then
    ("TDE", "02", IDT, IDT, "a", ("OF02ab", "OF02ab")),
    ("TDL", "02", IDT, IDT, "a", ("OF02ab", "OF02ab")),
    ("TDE", "02", RESYN, RESYN, "a", ("TDE02", "TDE02")),
    ("TDL", "02", RESYN, RESYN, "a", ("TDL02", "TDL02")),
    ("TDE", "02", IDT, RESYN, "a", ("OF02ab", "OF02ab")),
    ("TDE", "02", RESYN, IDT, "b", ("OF02ab", "OF02ab")),
    ("TDL", "07", RESYN, IDT, "b", ("OF02ab", "OF02ab")),
    ("TDE", "07", END, RESYN, "b", ("TDE02", "TDE02")),
    ("TDE", "07", END, IDT, "b", ("OF02ab", "OF02ab")),
    ("TDL", "07", END, RESYN, "b", ("TDL02", "TDL02")),
    ("TDL", "07", END, IDT, "b", ("OF02ab", "OF02ab")),
    ("TDE", "02", DTF_END, RESYN, "b", ("TDE02", "TDE02")),
    ("TDE", "02", DTF_END, IDT, "b", ("OF02ab", "OF02ab")),
    ("TDL", "02", RESYN, DTF_END, "a", ("TDL02", "TDL02")),
    ("TDL", "02", IDT, DTF_END, "a", ("OF02ab", "OF02ab")),
    ("TDE", "02", POINT, RESYN, "b", ("TDE02", "TDE02")),
    ("TDL", "02", IDT, POINT, "a", ("OF02ab", "OF02ab")),
    ("TDE", "01", IDT, Fpdu("ACK(WRITE)", {**OK, 18: 0}), "a", ("OF02ab", "OF02ab")),
    ("TDE", "01", IDT, Fpdu("ACK(WRITE)", {2: b"\2\0\xd5"}), "a", ("OF02ab", "OF02ab")),
    ("TDL", "01", IDT, Fpdu("ACK(READ)", OK), "a", ("OF02ab", "OF02ab")),
    ("TDE", "08", IDT, Fpdu("ACK(TRANS.END)", OK), "a", ("OF02ab", "OF02ab")),
    ("TDE", "02", ABORT, IDT, "", ("CN01", "CN01")),
    ("TDE", "02", IDT, ABORT, "", ("CN01", "CN01")),
    ("TDE", "02", ABORT, ABORT, "", ("CN01", "CN01")),
]


@pytest.mark.fact("F-55", "F-58", "F-59", "F-60")
@pytest.mark.parametrize(("phase", "moment", "up", "down", "winner", "then"), CROSSINGS)
def test_of_two_that_cross_the_stronger_wins(
    phase: str, moment: str, up: Fpdu, down: Fpdu, winner: str, then: tuple[str, str]
) -> None:
    pair = Pair(phase, moment)
    said = {"a": pair.sides["a"].send(up), "b": pair.sides["b"].send(down)}
    heard = {speaker: pair.hear(speaker, bytes_) for speaker, bytes_ in said.items()}
    if winner:
        loser = "b" if winner == "a" else "a"
        won = (up if winner == "a" else down).name
        assert [event.name for event in heard[winner]] == [won]  # type: ignore[union-attr]
        assert heard[loser] == []
        answer = Fpdu(f"ACK({won})", {18: 0} if won == "RESYN" else {})
        (end,) = pair.hear(loser, pair.sides[loser].send(answer))
        assert isinstance(end, Fpdu) and end.name == answer.name
    assert pair.states == then


@pytest.mark.fact("F-58")
def test_what_is_on_its_way_when_one_interrupts_is_void() -> None:
    pair = Pair("TDE", "02")
    said = pair.sides["b"].send(IDT)
    sender = pair.sides["a"]
    on_its_way = sender.send_article(b"x" * 100) + sender.send_point() + sender.send_article(b"y" * 5000)
    on_its_way += sender.flush() + sender.send(DTF_END) + sender.send(END)
    before = pair.sides["b"].transfer.offset
    assert pair.hear("a", on_its_way) == []
    (idt,) = pair.hear("b", said)
    assert isinstance(idt, Fpdu) and idt.name == "IDT"
    pair.play(("a", Fpdu("ACK(IDT)")))
    assert pair.sides["b"].transfer.offset == before
    assert pair.states == ("OF02ab", "OF02ab")


@pytest.mark.fact("F-55", "F-74")
def test_points_are_acknowledged_late_all_at_once_or_too_late() -> None:
    pair = Pair("TDE", "02")
    sender, receiver = pair.sides["a"], pair.sides["b"]
    for _ in range(3):
        pair.hear("a", sender.send_article(bytes(900)) + sender.flush())
        pair.hear("a", sender.send_point())
    pair.play(("a", DTF_END))
    (acknowledged,) = pair.hear("b", receiver.send(Fpdu("ACK(SYN)", {20: 2})))
    assert acknowledged == sender_point(2)
    assert sender.transfer.acknowledged == 2
    last = receiver.send(Fpdu("ACK(SYN)", {20: 3}))
    sender.send(END)
    assert pair.hear("b", last) == []


def sender_point(number: int) -> object:
    """The event for a point after articles of 900 bytes each."""
    return Acknowledged(SyncPoint(number, 900 * number, number))
