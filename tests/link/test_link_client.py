"""The client against scripted servers that behave as others do, and the server against raw callers."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from shelf import FILE, SHORT, Incoming, Shelf, serving

from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link.client import Connection, Partner, RestartRefused, connect
from gateway.pesit.fpdus import BY_CODE
from gateway.pesit.transfer import Identity, SyncPoint

OK = "0203000000"


def frame(code: str, body: str = "", source: str = "00") -> str:
    coded = bytes.fromhex(code + "01" + source + body)
    return (len(coded) + 2).to_bytes(2, "big").hex() + coded.hex()


READ = frame("c035", OK)
USUAL: dict[str, str | None] = {
    "CONNECT": frame("4021", "060102" + "0703000102", "52"),
    "CREATE": frame("c030", OK + "19021000"),
    "SELECT": frame("c031", OK + "09060b01000c0153" + "0d030024e6" + "100102" + "19021000"),
    "ORF": frame("c033", OK),
    "WRITE": frame("c036", OK + "120100"),
    "READ": READ,
    "TRANS.END": frame("c037", OK),
    "CRF": frame("c034", OK),
    "DESELECT": frame("c032", OK),
    "MSG": frame("c03b", OK),
    "RELEASE": frame("4024", source="52"),
    "SYN": frame("c038", "140101"),
}
"""What the scripted server says to each FPDU; ``None`` closes the line."""


async def scripted(script: dict[str, str | None], heard: list[str]) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent: set[str] = set()
        try:
            while True:
                entity = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                name = BY_CODE[entity[2], entity[3]].name
                heard.append(name)
                reply = "" if name in silent else script.get(name, "")
                if reply is None:
                    break
                if "000ec006" in reply:  # after its IDT a server acknowledges no point any more
                    silent.add("SYN")
                if reply:
                    writer.write(bytes.fromhex((len(reply) // 2).to_bytes(2, "big").hex() + reply))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


def run_against(changes: dict[str, str | None], act: object) -> tuple[object, list[str]]:
    """What ``act(connection)`` gives or raises, and what the server heard."""
    heard: list[str] = []

    async def talk() -> object:
        server = await scripted(USUAL | changes, heard)
        port = server.sockets[0].getsockname()[1]
        try:
            async with connect(Partner("127.0.0.1", port, "BOX", "OCT", timers=SHORT)) as connection:
                return await act(connection)  # type: ignore[operator]
        except Trouble as trouble:
            return trouble
        finally:
            server.close()

    return asyncio.run(talk()), heard


async def send(connection: Connection) -> object:
    return await connection.send(FILE, io.BytesIO(bytes(3000)))


async def restart(connection: Connection) -> object:
    return await connection.send(FILE, io.BytesIO(bytes(3000)), SyncPoint(1, 1024, 2, 1024))


def refuse(code: str, reason: str) -> str:
    """A negative answer: 2.``reason`` (hexadecimal)."""
    return frame(code, "0203" + "0200" + reason)


IDT_ERROR = frame("c006", "02030200db" + "130104")
IDT_CANCEL = frame("c006", "02030200e2" + "13010c")
FICHIER, ROUTE = Scope.FICHIER, Scope.ROUTE
LEAVE = "CRF DESELECT RELEASE"

DIALOGUES = [
    # name, changes to the script, act, trouble (code, kind, scope) or None, control FPDUs heard last
    ("as usual", {}, send, None, LEAVE),
    ("not let in", {"CONNECT": frame("4022", "0203030130")}, send, ("PES-3.304", Refused, ROUTE), "CONNECT"),
    ("refused", {"CREATE": refuse("c030", "e2")}, send, ("PES-2.226", Refused, FICHIER), "CREATE RELEASE"),
    ("busy", {"CREATE": refuse("c030", "c9")}, send, ("PES-2.201", Deferred, ROUTE), "CREATE RELEASE"),
    ("not opened", {"ORF": refuse("c033", "d3")}, send, ("PES-2.211", Deferred, FICHIER), "ORF DESELECT RELEASE"),
    ("not written", {"WRITE": refuse("c036", "d5")}, send, ("PES-2.213", Deferred, ROUTE), f"WRITE {LEAVE}"),
    ("not stored", {"TRANS.END": refuse("c037", "e0")}, send, ("PES-2.224", Refused, FICHIER), f"TRANS.END {LEAVE}"),
    ("bytes wrong", {"TRANS.END": frame("c037", OK + "1b0105")}, send, ("PES-3.319", Deferred, ROUTE), LEAVE),
    ("articles wrong", {"TRANS.END": frame("c037", OK + "1b020bb81c0101")}, send, None, LEAVE),
    ("lost after success", {"CRF": None}, send, None, "TRANS.END CRF"),
    ("lost before success", {"TRANS.END": None}, send, ("PES-CUT", Deferred, ROUTE), "DTF.END TRANS.END"),
    ("bare abort", {"WRITE": "000940250152030137"}, send, ("PES-3.311", Deferred, ROUTE), "ORF WRITE"),
    ("abort", {"CREATE": "000b402501520203030130"}, send, ("PES-3.304", Refused, ROUTE), "CREATE"),
    ("abort without reason", {"CREATE": "000640250152"}, send, ("PES-3.399", Deferred, ROUTE), "CREATE"),
    ("nonsense", {"ORF": frame("c035", OK)}, send, ("PES-3.311", Deferred, ROUTE), "ORF ABORT"),
    ("no PI 18", {"WRITE": frame("c036", OK)}, send, ("PES-3.318", Deferred, ROUTE), "WRITE ABORT"),
    ("interrupted", {"SYN": IDT_ERROR}, send, ("PES-2.219", Deferred, ROUTE), f"ACK(IDT) {LEAVE}"),
    ("cancelled", {"SYN": IDT_CANCEL}, send, ("PES-2.226", Refused, FICHIER), f"ACK(IDT) {LEAVE}"),
    (
        "interrupted at once",
        {"WRITE": frame("c036", OK + "120100") + IDT_ERROR},
        send,
        ("PES-2.219", Deferred, ROUTE),
        f"ACK(IDT) {LEAVE}",
    ),
    ("instead of ACK", {"WRITE": IDT_ERROR}, send, ("PES-2.219", Deferred, ROUTE), f"ACK(IDT) {LEAVE}"),
    ("interrupted late", {"TRANS.END": IDT_ERROR}, send, ("PES-2.219", Deferred, ROUTE), f"ACK(IDT) {LEAVE}"),
    ("point never laid", {"SYN": frame("c038", "140109")}, send, ("PES-3.311", Deferred, ROUTE), "ABORT"),
    ("restart, later", {"WRITE": frame("c036", OK + "120102")}, restart, None, LEAVE),
    ("restart from zero", {}, restart, None, LEAVE),
    (
        "restart past the end",
        {"WRITE": frame("c036", OK + "120109"), "IDT": frame("c03a")},
        restart,
        ("PES-2.228", RestartRefused, FICHIER),
        f"IDT {LEAVE}",
    ),
    ("exists", {"CREATE": refuse("c030", "cc")}, restart, ("PES-2.204", RestartRefused, FICHIER), "CREATE RELEASE"),
    ("forgotten", {"WRITE": refuse("c036", "d6")}, restart, ("PES-2.214", RestartRefused, FICHIER), f"WRITE {LEAVE}"),
]


@pytest.mark.parametrize(("name", "changes", "act", "trouble", "last"), DIALOGUES, ids=[row[0] for row in DIALOGUES])
def test_dialogues_of_a_write(
    name: str,
    changes: dict[str, str | None],
    act: object,
    trouble: tuple[str, type[Trouble], Scope] | None,
    last: str,
) -> None:
    outcome, heard = run_against(changes, act)
    if trouble:
        assert isinstance(outcome, Trouble), name
        found = (outcome.code, outcome.scope)
        assert found == (trouble[0], trouble[2])
        assert isinstance(outcome, trouble[1])
    else:
        assert not isinstance(outcome, Trouble), outcome
    control = [fpdu for fpdu in heard if fpdu not in ("DTF", "SYN")]
    assert control[-len(last.split()) :] == last.split()


READS = [
    ("byte 6 = 1 with a prefix", "000c00000101" + "0004" + "61626364", b"abcd"),
    ("byte 6 = 1 without", "000a00000101" + "61626364", b"abcd"),
    ("pieces over articles", "00080041010061620008004201006364000c00000102000165000166", b"abcdef"),
    ("point between", "000800000100" + "6162" + "0009c0030100140101" + "0008000001006364", b"abcd"),
    ("nothing", "", b""),
]


@pytest.mark.parametrize(("name", "data", "whole"), READS, ids=[row[0] for row in READS])
def test_dialogues_of_a_read(tmp_path: Path, name: str, data: str, whole: bytes) -> None:
    back = Incoming(tmp_path / "back")
    given: list[Identity] = []

    async def pull(connection: Connection) -> object:
        return await connection.pull(Identity("RETOURS"), lambda identity: given.append(identity) or back)  # type: ignore[func-returns-value]

    end = frame("c004", OK)
    outcome, heard = run_against({"READ": READ + data + end}, pull)
    assert not isinstance(outcome, Trouble), outcome
    assert given[0].transfer_id == 9446
    assert back.path.read_bytes() == whole
    assert back.ended is not None
    assert heard[-4:] == ["TRANS.END", "CRF", "DESELECT", "RELEASE"]


def test_a_read_that_its_sender_cannot_finish(tmp_path: Path) -> None:
    back = Incoming(tmp_path / "back")
    end = frame("c004", "02030200d5")
    outcome, heard = run_against(
        {"READ": READ + end, "IDT": frame("c03a")},
        lambda connection: connection.pull(Identity("RETOURS"), lambda identity: back),
    )
    assert isinstance(outcome, Deferred) and outcome.code == "PES-2.213"
    assert back.abandoned == ("PES-2.213", True)
    assert back.ended is None
    assert heard[-3:] == ["CRF", "DESELECT", "RELEASE"]


def test_a_caller_that_cannot_take_what_it_selected() -> None:
    def full(identity: Identity) -> Incoming:
        raise Deferred("BOX-FULL", "Plus de place.", Scope.BOX)

    outcome, heard = run_against({}, lambda connection: connection.pull(Identity("RETOURS"), full))
    assert isinstance(outcome, Deferred) and outcome.code == "BOX-FULL"
    assert heard == ["CONNECT", "SELECT", "DESELECT", "RELEASE"]


def test_what_is_offered_may_be_left_there() -> None:
    outcome, heard = run_against({}, lambda connection: connection.pull(Identity("LISTES"), lambda identity: None))
    assert outcome is None
    assert heard == ["CONNECT", "SELECT", "DESELECT", "RELEASE"]


CONNECT = "4020" + "0001" + "0303424f58" + "04034f4354" + "0506534543524554" + "060102" + "160102"
MSG_IDS = "090a0b02ffff0c044e4f5445" + "0d0107"
IDS = "09060b01000c0153" + "0d0111" + "110100" + "19021000"
CREATE, SELECT = "c0115200" + IDS, "c0125200" + IDS
ORF, WRITE = "c0145200", "c0025200"
WRITING = ["4021", "c030", "c033", "c036"]

CALLS = [
    # name, FPDUs said (without their length), phase and type of the FPDUs answered
    (
        "segmented message",
        [CONNECT, "c0175200" + MSG_IDS + "5b0466697273", "c0185200" + "5b0174", "c0195200" + "5b0121"],
        ["4021", "c03b"],
    ),
    ("version D", [CONNECT.replace("060102", "060101")], ["4022"]),
    ("write without right", [CONNECT.replace("160102", "160101"), CREATE], ["4021", "c030"]),
    ("read without right", [CONNECT.replace("160102", "160100"), SELECT], ["4021", "c031"]),
    ("nothing to read", [CONNECT, SELECT], ["4021", "c031"]),
    (
        "article too long",
        [CONNECT, CREATE + "1e03200104", ORF, WRITE, "00005200" + "6162636465"],
        [*WRITING, "c006"],
    ),
    ("out of turn", [CONNECT, WRITE], ["4021", "4025"]),
    ("abort is not answered", [CONNECT, "40255201" + "0203030134"], ["4021"]),
    (
        "caller gives up before data",
        [
            *(CONNECT, CREATE, ORF, WRITE, "c0065200" + "02030200d8130104"),
            *("c0155200" + OK, "c0135200" + OK, "40235201" + OK),
        ],
        [*WRITING, "c03a", "c034", "c032", "4024"],
    ),
    ("wrong counts", [CONNECT, CREATE, ORF, WRITE, "c0045200" + OK, "c0085200" + "1b0105"], [*WRITING, "c037"]),
]


@pytest.mark.parametrize("prefixed", [True, False], ids=["prefixed", "raw"])
@pytest.mark.parametrize(("name", "said", "answered"), CALLS, ids=[row[0] for row in CALLS])
def test_raw_callers(tmp_path: Path, name: str, said: list[str], answered: list[str], prefixed: bool) -> None:
    async def talk() -> list[str]:
        shelf = Shelf(tmp_path)
        codes: list[str] = []
        async with serving(shelf) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for body in said:
                coded = bytes.fromhex(body)
                length = (len(coded) + 2).to_bytes(2, "big")
                outer = (len(coded) + 2).to_bytes(2, "big") if prefixed else b""
                writer.write(outer + length + coded)
            for _ in answered:
                if prefixed:
                    await reader.readexactly(2)
                length = await reader.readexactly(2)
                codes.append((await reader.readexactly(int.from_bytes(length, "big") - 2))[:2].hex())
            if answered[-1] in ("4025", "4022") or "abort" in name:
                writer.write_eof()
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        if name == "segmented message":
            assert [(identity.file_name, text) for identity, text in shelf.messages] == [("NOTE", "first!")]
        if name == "wrong counts":
            assert shelf.incoming[17].ended is None
        return codes

    assert asyncio.run(talk()) == answered


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("d7c5e2c9e3404040c3d3c9f140404040e2c5c3d9c5e3f140", "c1c3d2f0"),
        ("0018d7c5e2c9e3404040c3d3c9f140404040e2c5c3d9c5e3f140", "0004c1c3d2f0"),
        ("5045534954202020434c4931202020205345435245543120", "41434b30"),
    ],
)
def test_callers_with_a_preconnection(tmp_path: Path, request_: str, reply: str) -> None:
    async def talk() -> None:
        async with serving(Shelf(tmp_path)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes.fromhex(request_))
            assert (await reader.readexactly(len(reply) // 2)).hex() == reply
            length = (len(CONNECT) // 2 + 2).to_bytes(2, "big").hex()
            writer.write(bytes.fromhex(length + length + CONNECT))
            assert (await reader.readexactly(6))[4:].hex() == "4021"
            writer.close()

    asyncio.run(talk())
