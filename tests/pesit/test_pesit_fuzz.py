"""Anything at all to the decoder and to sessions: violations, never anything else, and bounded memory.

And the other way round: two sessions that obey the table, whatever they say and however their bytes are cut,
never surprise each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pesit_notation import shown
from pesit_vectors import frames, samples

from gateway.errors import Trouble
from gateway.pesit import states
from gateway.pesit.codec import LONGEST, Fpdu, articles, decode, encode
from gateway.pesit.compression import Compression, Compressor, Expander
from gateway.pesit.diagnostics import Violation, trouble
from gateway.pesit.fpdus import FPDUS
from gateway.pesit.framing import Framing, Reader
from gateway.pesit.packing import Sending
from gateway.pesit.session import Article, Event, Session
from gateway.pesit.transfer import Sync, SyncPoint, identity_of

SOUND = [*frames("fpdu", "session", "stream")]
SINGLE = [frame for frame in frames("fpdu") if len(frame) >= 6]
OK = {2: b"\0\0\0"}


@st.composite
def spoilt(draw: st.DrawFn, sound: list[bytes] = SOUND) -> bytes:
    """Sound bytes in which some were changed, put in, taken out or repeated."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(sound), min_size=1, max_size=5))))
    for _ in range(draw(st.integers(0, 5))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(1, 6))
        match draw(st.sampled_from(["change", "put in", "take out", "repeat", "cut"])):
            case "change":
                data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "put in":
                data[at:at] = draw(st.binary(min_size=length, max_size=length))
            case "take out":
                del data[at : at + length]
            case "repeat":
                data[at:at] = data[at : at + 40]
            case "cut":
                del data[at:]
    return bytes(data)


@pytest.mark.fact("F-57")
@settings(deadline=None, max_examples=300)
@given(spoilt(SINGLE), st.booleans())
def test_the_decoder_understands_or_refuses(frame: bytes, mend: bool) -> None:
    if mend and 6 <= len(frame) <= LONGEST:
        frame = len(frame).to_bytes(2, "big") + frame[2:]
    try:
        fpdu = decode(frame)
        body = articles(fpdu.body, fpdu.source) if fpdu.name == "DTF" else []
    except Violation as violation:
        assert violation.diagnostic in ("3.311", "3.318")
        return
    assert fpdu.name in FPDUS
    assert sum(map(len, body)) <= len(frame)
    # Whatever was understood can be asked for, and told as a trouble.
    identity_of(fpdu)
    assert isinstance(trouble(fpdu.diagnostic if fpdu.diagnostic != "0.000" else "2.299"), Trouble)


@pytest.mark.fact("F-32", "F-33", "F-34", "F-35")
@settings(deadline=None, max_examples=300)
@given(spoilt(SINGLE))
def test_what_was_understood_can_be_said_again(frame: bytes) -> None:
    """Strictly, and understood the same, but for units that belong elsewhere; what is too long for us is not said."""
    frame = len(frame).to_bytes(2, "big") + frame[2:]
    try:
        fpdu = decode(frame)
        said = encode(fpdu)
    except (Trouble, ValueError):
        return
    own = {member.code for item in FPDUS[fpdu.name].items for member in (item.members or (item,))}
    assert dict(decode(said).values) == {code: value for code, value in fpdu.values.items() if code in own}
    assert decode(said).notes == ()
    assert encode(decode(said)) == said


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(list(Framing)), spoilt(), st.integers(1, 200))
def test_a_reader_holds_one_entity(framing: Framing, stream: bytes, step: int) -> None:
    reader = Reader(framing)
    try:
        for at in range(0, len(stream), step):
            reader.feed(stream[at : at + step])
            while reader.next():
                pass
            assert reader.waiting <= 2 + LONGEST + 2
    except Violation:
        pass


def hear(session: Session, data: bytes) -> list[Event]:
    session.feed(data)
    return list(iter(session.next, None))


@pytest.mark.fact("F-57")
@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(states.STATES)), st.sampled_from(list(Framing)), spoilt(), st.booleans())
def test_a_session_in_any_state_hears_anything(state: str, framing: Framing, stream: bytes, agreed: bool) -> None:
    session = Session(states.State(state), framing)
    session.resync = agreed
    session.sync = Sync(1, 3) if agreed else Sync()
    session.compression = Compression.BOTH if agreed else Compression.NONE
    session.begin(SyncPoint())
    events = hear(session, stream)
    assert not any(isinstance(event, Violation) for event in events[:-1])
    expanded = sum(len(event.data) for event in events if isinstance(event, Article))
    assert expanded <= 63 * len(stream)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from(list(Compression)[1:]))
def test_strings_of_anything_expand_or_are_refused(pieces: list[bytes], compression: Compression) -> None:
    expander = Expander(compression)
    try:
        for piece in pieces:
            expander.feed(piece, ends=True)
    except Violation as violation:
        assert violation.diagnostic in ("3.311", "3.318", "3.315")


RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 200)), max_size=12).map(
    lambda runs: b"".join(bytes([value]) * count for value, count in runs)
)
ARTICLES = st.one_of(RUNS, st.binary(max_size=200))


@pytest.mark.fact("F-92", "F-93")
@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.one_of(RUNS, st.binary(max_size=200)), max_size=8), st.sampled_from(list(Compression)[1:]), st.data()
)
def test_compression_and_back(whole: list[bytes], compression: Compression, data: st.DataObject) -> None:
    compressor, expander = Compressor(compression), Expander(compression)
    for article in whole:
        if data.draw(st.booleans(), label="point"):
            compressor.forget()
            expander.forget()
        assert expander.feed(compressor.article(article), ends=True) == article


# --- two that obey --------------------------------------------------------------------------------------------------

FRESH: dict[str, Callable[[Session], Fpdu]] = {
    "CONNECT": lambda s: Fpdu(
        "CONNECT", {1: int(s.crc), 3: "BOX", 4: "OCT", 6: 2, 7: Sync(1, 2).coded(), 22: 2, 23: 1}
    ),
    "ACONNECT": lambda _: Fpdu("ACONNECT", {6: 2, 7: Sync(1, 2).coded(), 23: 1}),
    "ORF": lambda _: Fpdu("ORF", {21: Compression.BOTH.coded()}),
    "ACK(ORF)": lambda s: Fpdu("ACK(ORF)", OK | {21: Compression.of(b"\1\3").coded()}),
    "ACK(WRITE)": lambda _: Fpdu("ACK(WRITE)", OK | {18: 0}),
    "READ": lambda _: Fpdu("READ", {18: 0}),
    "SYN": lambda s: Fpdu("SYN", {20: s.transfer.point.number + 1}),
    "ACK(SYN)": lambda s: Fpdu("ACK(SYN)", {20: s.transfer.point.number}),
    "RESYN": lambda s: Fpdu("RESYN", {2: b"\1\0\x64", 18: s.transfer.acknowledged}),
    "TRANS.END": lambda s: Fpdu("TRANS.END", s.transfer.counts),
    "ACK(TRANS.END)": lambda s: Fpdu("ACK(TRANS.END)", OK | s.transfer.counts),
}
"""FPDUs whose values depend on how things stand; the others are vectors."""

SAMPLES = samples()
NEVER = {"!ABORT", "!RELEASE", "!DTFDA", "!DTFMA", "!DTFFA"}
"""What ends it all, and what a session says of itself when an article is long."""
WEIGHTS = {"": 30, "!DTF": 60, "!SYN": 20, "!DTF.END": 3, "!IDT": 0.1, "!RESYN": 0.5, "!MSGMM": 1}
"""Of what may be said, the more usual."""


class TwoSessions:
    """A requester and a server; what each says, and how much of it has come, is up to chance."""

    def __init__(self, chance: random.Random) -> None:
        """A connection in its first data phase."""
        checked, framing = chance.random() < 0.3, chance.choice([Framing.PREFIXED, Framing.RAW])
        sending = Sending(*(chance.random() < 0.5 for _ in range(3)))
        self.chance = chance
        self.both = {
            "A": Session(states.REQUESTER, framing, own_id=7, sending=sending, crc=checked),
            "B": Session(states.SERVER, Framing.AUTO, own_id=82, sending=sending),
        }
        self.coming = {"A": bytearray(), "B": bytearray()}
        self.file = {"A": b"", "B": b""}
        self.asked = {"A": 0, "B": 0}
        for asked in ("CONNECT", *chance.choice([("CREATE", "ORF", "WRITE"), ("SELECT", "ORF", "READ")])):
            self.utter("A", f"!{asked}")
            self.come("B", 1 << 16)
            self.utter("B", "!ACONNECT" if asked == "CONNECT" else f"!ACK({asked})")
            self.come("A", 1 << 16)

    def step(self) -> None:
        """One side says something, or something comes to it."""
        role = self.chance.choice("AB")
        events = ["", *self.may(role)]
        event = self.chance.choices(events, [WEIGHTS.get(event, 10) for event in events])[0]
        if event:
            self.utter(role, event)
        else:
            self.come(role, self.chance.choice([1, 30, 200, 2000]))

    def article(self) -> bytes:
        """Runs and noise, seldom long."""
        size = self.chance.choice([1, 2, 60, 64, 500, 900])
        return self.chance.randbytes(size) if self.chance.random() < 0.3 else bytes([self.chance.randrange(3)]) * size

    def may(self, role: str) -> list[str]:
        """What a role may say now, by the table and by what was agreed."""
        session = self.both[role]
        accounts, sends = session.transfer, session.state[:3] == ("TDE" if role == "A" else "TDL")
        found = sorted(e for s, e in states.TABLE if s == session.state and e[0] == "!" and e not in NEVER)
        forbidden = set()
        if accounts.blocked or not sends:
            forbidden.add("!SYN")
        if accounts.point.number <= accounts.acknowledged:
            forbidden.add("!ACK(SYN)")
        if not session.resync or accounts.resyncs > 3:
            forbidden.add("!RESYN")
        return [event for event in found if event not in forbidden]

    def utter(self, role: str, event: str) -> None:
        """Say it, and note what it means for the file."""
        session, name = self.both[role], event.strip("!-")
        other = "B" if role == "A" else "A"
        if event in ("!ACK(WRITE)", "!ACK(READ)", "!READ"):
            session.begin(SyncPoint())
            self.file[role] = b""
        if name == "DTF":
            data = self.article()
            self.coming[other] += session.send_article(data)
            self.file[role] += data
            return
        fpdu = FRESH[name](session) if name in FRESH else SAMPLES[name]
        if name == "ACK(RESYN)":
            fpdu = Fpdu(name, {18: self.asked[role] if session.transfer.known(self.asked[role]) else 0})
        elif name.startswith("ACK(") and 2 in SAMPLES[name].values:
            fpdu = Fpdu(name, dict(fpdu.values) | {2: b"\2\0\xe2" if event.endswith("-") else b"\0\0\0"})
        elif name in ("DTF.END", "CRF", "DESELECT"):
            fpdu = Fpdu(name, OK)
        self.coming[other] += session.send(fpdu)
        if name == "ACK(RESYN)":
            self.file[role] = self.file[role][: session.transfer.offset]

    def come(self, role: str, size: int) -> None:
        """Some of what is on its way to ``role`` comes."""
        session, coming = self.both[role], self.coming[role]
        session.feed(bytes(coming[:size]))
        del coming[:size]
        while event := session.next():
            self.hear(role, session, event)

    def hear(self, role: str, session: Session, event: Event) -> None:
        assert not isinstance(event, Violation), f"{role} in {session.state}: {event.text}"
        if isinstance(event, Article):
            self.file[role] += event.data
        if not isinstance(event, Fpdu):
            return
        assert event.notes == ()
        if event.name == "ACK(WRITE)" and event.diagnostic == "0.000":
            session.begin(SyncPoint())
            self.file[role] = b""
        elif event.name == "RESYN":
            self.asked[role] = event.number(18)
        elif event.name == "ACK(RESYN)":
            assert session.transfer.point.number == event.number(18)
            self.file[role] = self.file[role][: session.transfer.offset]
        elif event.name == "DTF.END":
            assert self.file["A"] == self.file["B"]
        elif event.name in ("TRANS.END", "ACK(TRANS.END)") and 27 in event.values:
            assert session.transfer.matches(event), f"{role}: {shown(event)} {session.transfer.counts}"


@pytest.mark.fact("F-54", "F-58", "F-59", "F-109")
@pytest.mark.parametrize("seed", range(120))
def test_two_sessions_that_obey_never_surprise_each_other(seed: int) -> None:
    pair = TwoSessions(random.Random(seed))
    for _ in range(600):
        pair.step()
