"""FPDUs to bytes and back; recorded frames are in test_pesit_vectors, anything at all in test_pesit_fuzz."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pesit.codec import Fpdu, articles, decode, encode
from gateway.pesit.diagnostics import Violation
from gateway.pesit.fpdus import DATA, FPDUS, Item
from gateway.pesit.parameters import PARAMETERS, Coding, Value


def test_bare_abort_is_the_recorded_one() -> None:
    coded = bytes.fromhex("000940250162030137")
    assert encode(decode(coded), bare_abort=True) == coded
    assert encode(decode(coded)) == bytes.fromhex("000b4025016202030301" + "37")


@pytest.mark.parametrize(
    ("name", "coded", "values", "noted"),
    [
        ("unknown unit", "000cc0025200c80141d20100", {}, 2),
        ("groups emptied by a recorder", "000fc0310100020302" + "00cd0900" + "1e00", {2: b"\x02\0\xcd"}, 0),
        ("first of two wins", "000cc0035200140101140102", {20: 1}, 1),
        ("leading zeros", "000bc003520014030000" + "07", {20: 7}, 0),
        ("blank string is absent", "000b402401526303202020", {}, 0),
        ("descending order", "000fc03701001c0101" + "0203000000", {28: 1, 2: b"\0\0\0"}, 1),
        ("PI 2 in ACK(IDT)", "000bc03a01000203000000", {2: b"\0\0\0"}, 0),
        ("abort with nothing readable", "000840250100ffff", {}, 0),
        ("IDT without PI 19", "000bc006010002030200db", {2: b"\x02\0\xdb"}, 0),
    ],
)
def test_lenient_input(name: str, coded: str, values: dict[int, Value], noted: int) -> None:
    frame = bytes.fromhex(coded)
    fpdu = decode(len(frame).to_bytes(2, "big") + frame[2:])
    assert dict(fpdu.values) == values, name
    assert len(fpdu.notes) == noted


@pytest.mark.parametrize(
    ("name", "coded", "diagnostic"),
    [
        ("no such type", "0006c0ff0000", "3.311"),
        ("length of another", "0007c0020000", "3.311"),
        ("SYN without its number", "0006c0035200", "3.318"),
        ("unit past the end", "0009c0035200140501", "3.318"),
        ("unit without length", "0007c003520014", "3.318"),
        ("long unit cut", "0009c003520014ff00", "3.318"),
        ("number too wide", "000cc0035200140400000001", "3.318"),
        ("CREATE without PGI 9", "0010c01152000d010111010119021000", "3.318"),
        ("PI 2 of two bytes", "000ac034010002020000", "3.318"),
        ("groups in groups are unknown units", "0012c0115200090a0908090609040b010c01", "3.318"),
    ],
)
def test_unreadable_input(name: str, coded: str, diagnostic: str) -> None:
    with pytest.raises(Violation) as violation:
        decode(bytes.fromhex(coded))
    assert violation.value.diagnostic == diagnostic, name


@pytest.mark.parametrize(
    ("fpdu", "fault"),
    [
        (Fpdu("SYN"), "lacks PI 20"),
        (Fpdu("SYN", {20: 1 << 24}), "4 bytes long"),
        (Fpdu("ACK(CRF)", {2: b"\0"}), "cannot hold"),
        (Fpdu("RELCONF", {99: 5}), "cannot hold"),
        (Fpdu("CREATE", {12: " "}), "lacks PI"),
    ],
)
def test_our_own_faults_raise(fpdu: Fpdu, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        encode(fpdu)


@pytest.mark.parametrize(
    ("body", "count", "expected"),
    [
        (b"abc", 0, [b"abc"]),
        (b"\0\x03abc", 1, [b"abc"]),
        (b"abcde", 1, [b"abcde"]),
        (b"\0\x01a\0\0\0\x02bc", 3, [b"a", b"", b"bc"]),
    ],
)
def test_articles_of_a_dtf(body: bytes, count: int, expected: list[bytes]) -> None:
    assert articles(body, count) == expected


@pytest.mark.parametrize(("body", "count"), [(b"\0\x01a", 2), (b"\0\x05a", 2), (b"\0\x01a\0", 2), (b"", 3)])
def test_dtf_that_does_not_hold_what_it_announces(body: bytes, count: int) -> None:
    with pytest.raises(Violation):
        articles(body, count)


def value_of(code: int) -> st.SearchStrategy[Value]:
    row = PARAMETERS[code]
    match row.coding:
        case Coding.C | Coding.T | Coding.D:
            letters = st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=())
            return st.text(letters, min_size=1, max_size=min(row.maximum, 300))
        case Coding.A:
            return st.binary(min_size=row.maximum, max_size=row.maximum)
        case _:
            return st.integers(0, (1 << 8 * row.maximum) - 1)


def values_of(items: tuple[Item, ...]) -> st.SearchStrategy[dict[int, Value]]:
    flat = [(item, True) for item in items if not item.members]
    flat += [(member, item.need == "m") for item in items for member in item.members]
    whole = {item.code: value_of(item.code) for item, sure in flat if sure and item.need == "m"}
    groups: list[st.SearchStrategy[dict[int, Value]]] = [
        st.one_of(st.just({}), st.fixed_dictionaries({m.code: value_of(m.code) for m in item.members}))
        for item in items
        if item.members and item.need != "m"
    ]
    free = {item.code: value_of(item.code) for item, sure in flat if sure and item.need != "m"}
    plain = st.fixed_dictionaries(whole, optional=free)
    return st.tuples(plain, *groups).map(lambda parts: {k: v for part in parts for k, v in part.items()})


ANY_FPDU = st.sampled_from(sorted(set(FPDUS) - DATA)).flatmap(
    lambda name: st.builds(Fpdu, st.just(name), values_of(FPDUS[name].items), st.integers(0, 255), st.integers(0, 255))
)


@pytest.mark.fact("F-30", "F-31", "F-32", "F-34")
@given(ANY_FPDU)
def test_what_we_encode_we_decode(fpdu: Fpdu) -> None:
    coded = encode(fpdu)
    again = decode(coded)
    assert again == Fpdu(fpdu.name, dict(fpdu.values), fpdu.destination, fpdu.source)
    assert encode(again) == coded
