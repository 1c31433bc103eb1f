"""Returns: both families are read, controls are checked, and no bytes give a traceback."""

from __future__ import annotations

import gzip

import pytest
from b2_edits import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import noemie, noemie_entities
from gateway.formats.noemie_entities import entities
from gateway.formats.noemie_tables import LAYOUTS, RULES
from gateway.formats.noemie_values import Line, Part, Reject, Return, ReturnedFacture, Transfer, Unknown, Withholding

RETURN = (SAMPLES / "noemie_new_form_paid_and_rejected.noe").read_bytes()
PARTS = [one.raw for one in entities(RETURN)]
ENDS: dict[str, str | int] = {
    "emitter_type": "CT",
    "emitter_no": "00000001025996",
    "dest_type": "TE",
    "dest_no": "00000991038431",
    "file_id": "OLD001",
}


def entity(number: str, /, **values: str | int) -> str:
    return LAYOUTS[number].write(values)


def old_form(*middle: str, total: int, created: str = "251125", reference: str = "900") -> bytes:
    """A return with what is given between its two ends."""
    count = len(middle) + 2
    start = entity("000", **ENDS, created=created, reference=reference)
    return (start + "".join(middle) + entity("999", **ENDS, n_records=count, total=total, sign="P")).encode()


DEBT = entity(
    "250", debt_ref="D1", debt_date="250101", debt_kind="IND", operation="RPR", amount=100, sign="P", balance=400
)


def test_the_sample_is_read() -> None:
    read = noemie.read(RETURN)
    assert read.findings == ()
    assert (read.reference, read.emitter_no, read.dest_no) == ("908", "00000001025996", "00000991038431")
    assert (read.file_id, read.created, read.total_cents) == ("NSYN01", "2025-11-25", 23000)
    label = "CPAM TEST 996 LOT 001 251125"
    assert read.transfers == (Transfer("2025-11-25", label, "REF VIR SYN0001", "0101000996"),)
    paid, rejected = read.factures
    assert (paid.number, paid.lot_number, paid.lot_date, paid.kind) == ("001000001", "001", "2025-11-22", "B")
    assert (paid.amo, paid.amc, paid.rejects, paid.nir) == (Part(23000, "P", 23000), None, (), "155059999999968")
    assert rejected.amo == Part(11500, "R", 0)
    text = "LIBELLE DE REJET SYNTHETIQUE : DROITS NON OUVERTS A LA DATE DES SOINS"
    assert rejected.rejects == (Reject("9901", text, "F", "O", "SD", "2025-11-04"),)
    assert not read.blocked


def test_it_crosses_a_process_boundary() -> None:
    read = noemie.read(RETURN + b"junk@")
    assert Return.from_json(read.to_json()) == read


def test_the_old_family() -> None:
    """An act paid, a facture rejected, a withholding, a lump payment, a comment, an unknown entity."""
    read = noemie.read(
        old_form(
            entity("010", amc_no="9853200", amc_key="5"),
            entity("020", payee="123456789"),
            entity("040", payee="991038431"),
            entity("070", acc_date="251125"),
            entity("080", batch_date="251122", batch_no="001"),
            entity("100", invoice_no="1"),
            entity("110", nir="1550599999999", nir_key="68", name="DUPONT"),
            entity("120", birth="550501"),
            entity("210", act="C", start="251103", spent=2500, base=2500, paid=1650, sign="P", amc_amt=850),
            entity("220", act="PJ", start="251104", spent=1000, base=1000, paid=800, sign="P"),
            entity("100", invoice_no="2"),
            entity("290", code="R01", label="ASSURE INCONNU"),
            entity(
                "250",
                debt_ref="D1",
                debt_date="250101",
                debt_kind="IND",
                operation="RPR",
                amount=100,
                sign="P",
                balance=400,
            ),
            entity("261", code=1, amount=500),
            entity("295", text="BONJOUR"),
            "777INCONNU@",
            entity("990", count=2, total=2450, sign="P"),
            total=2450,
        )
    )
    assert [one.code for one in read.findings] == ["NOE-003"]
    assert read.transfers == (Transfer("2025-11-25", "", "", ""),)
    first, second = read.factures
    assert first == ReturnedFacture(
        "000000001",
        "001",
        "2025-11-22",
        "",
        Part(None, "P", 2450),
        lines=(Line("C", "2025-11-03", 2500, 2500, 1650, 850), Line("PJ", "2025-11-04", 1000, 1000, 800, 0)),
        nir="155059999999968",
    )
    assert second.amo == Part(None, "R", 0)
    assert second.rejects == (Reject("R01", "ASSURE INCONNU", "", ""),)
    assert read.withholdings == (Withholding("D1", "2025-01-01", "IND", "RPR", 100, 400),)
    assert (read.lumps_cents, read.comments, read.bodies) == (500, ("BONJOUR",), ("98532005",))
    assert read.unknown == (Unknown(read.unknown[0].offset, "777INCONNU@"),)


ACT = entity("210", act="C", start="251103", paid=1650, sign="P")


@pytest.mark.parametrize(("lines", "state"), [([ACT], "P"), ([], "R")])
def test_a_290_is_a_signal_where_something_is_paid(lines: list[str], state: str) -> None:
    reject = entity("290", code="S01", label="SIGNALEMENT")
    read = noemie.read(old_form(entity("100", invoice_no="1"), *lines, reject, total=1650 if lines else 0))
    assert read.findings == ()
    assert read.factures[0].amo == Part(None, state, 1650 if lines else 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("total", "good"), [(1650, True), (1550, True), (1750, False), (100, False)])
def test_the_total_may_be_net_of_withholdings(total: int, good: bool) -> None:
    read = noemie.read(old_form(entity("100", invoice_no="1"), ACT, DEBT, total=total))
    assert read.blocked is not good


def test_a_return_that_pays_a_negative_amount() -> None:
    read = noemie.read(
        old_form(entity("102", invoice_no="1"), entity("198", asked=0, state="P", paid=500, sign="N"), total=0)
    )
    assert read.factures[0].amo == Part(0, "P", -500)
    assert [one.code for one in read.findings] == ["NOE-006"]


def test_the_amc_part() -> None:
    read = noemie.read(
        old_form(
            entity("102", invoice_no="1", batch_no="007", batch_date="251122", invoice_kind="D"),
            entity("198", asked=700, state="P", paid=700, sign="P"),
            entity("199", asked=300, state="D", paid=0, sign="P", amc_no="98532005", member="A1"),
            total=700,
        )
    )
    assert read.findings == ()
    facture = read.factures[0]
    assert (facture.amc, facture.amc_no, facture.lot_number) == (Part(300, "D", 0), "0098532005", "007")
    assert facture.paid_cents == 700


@pytest.mark.parametrize(("reference", "created"), [("900", "251122"), ("408", "221125")])
def test_the_creation_date_of_both_writers(reference: str, created: str) -> None:
    assert noemie.read(old_form(total=0, created=created, reference=reference)).created == "2025-11-22"


@pytest.mark.parametrize("level", ["99", "02"])
@pytest.mark.parametrize("count", ["00000002", "        "])
def test_both_conventions_of_a_level_end(level: str, count: str) -> None:
    end = PARTS[-2][:3] + level + PARTS[-2][5:22] + count + PARTS[-2][30:]
    assert noemie.read("".join([*PARTS[:-2], end, PARTS[-1]]).encode()).findings == ()


PREFIXED = "".join(f"{len(part):04d}{part}\n" for part in PARTS).encode()


@pytest.mark.parametrize("wrapped", [gzip.compress(RETURN), PREFIXED, gzip.compress(PREFIXED), RETURN + b"\r\n"])
def test_wrapping_changes_nothing(wrapped: bytes) -> None:
    assert noemie.read(wrapped) == noemie.read(RETURN)


@pytest.mark.parametrize("total", [0, 1, 11500, 34500])
def test_a_total_that_is_no_sum_settles_nothing(total: int) -> None:
    assert [one.code for one in noemie.read(changed(13, 86, f"{total:011d}")).findings] == ["NOE-006"]


def changed(at: int, position: int, text: str) -> bytes:
    """The sample with ``text`` at ``position`` (1-based) of its entity number ``at`` (1-based)."""
    parts = list(PARTS)
    old = parts[at - 1]
    parts[at - 1] = old[: position - 1] + text + old[position - 1 + len(text) :]
    return "".join(parts).encode("latin-1")


AMC_WITHOUT_BODY = old_form(
    entity("102", invoice_no="1"), entity("199", asked=300, state="P", paid=300, sign="P", amc_no=" " * 10), total=300
)

# code, severity, (entity, position), bytes
CASES: list[tuple[str, str, tuple[int, int], bytes]] = [
    ("NOE-001", "blocks", (1, 1), b""),
    ("NOE-001", "blocks", (12, 1), RETURN[128:]),
    ("NOE-002", "blocks", (12, 1), RETURN[:-128]),
    ("NOE-003", "says", (2, 1), changed(2, 1, "777")),
    ("NOE-004", "warns", (3, 1), "".join([*PARTS[:2], "071@", *PARTS[3:]]).encode()),
    ("NOE-005", "blocks", (13, 56), changed(13, 56, "00000012")),
    ("NOE-006", "blocks", (13, 86), changed(13, 86, "00000023001")),
    ("NOE-007", "warns", (12, 23), changed(12, 23, "00000077")),
    ("NOE-008", "warns", (12, 31), changed(12, 31, "00000023001")),
    ("NOE-009", "blocks", (13, 50), changed(13, 50, "OTHER0")),
    ("NOE-010", "warns", (7, 6), changed(7, 6, "0002300X")),
    ("NOE-011", "warns", (6, 19), changed(6, 19, "00")),
    ("NOE-012", "warns", (13, 1), RETURN + b"abc@"),
    ("NOE-013", "warns", (5, 1), "".join([*PARTS[:4], *PARTS[5:]]).encode()),
    ("NOE-014", "blocks", (1, 1), b"\x1f\x8bnonsense"),
    ("NOE-015", "warns", (4, 1), AMC_WITHOUT_BODY),
]


@pytest.mark.parametrize(
    ("code", "severity", "place", "data"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_a_broken_rule_is_found_in_its_place(code: str, severity: str, place: tuple[int, int], data: bytes) -> None:
    read = noemie.read(data)
    assert (code, severity, place) in {(one.code, one.severity, (one.record, one.position)) for one in read.findings}


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} | {"NOE-016", "NOE-017"} == set(RULES)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noemie, "MOST_ENTITIES", 5)
    assert [one.code for one in noemie.read(RETURN).findings] == ["NOE-016", "NOE-002"]
    monkeypatch.setattr(noemie, "MOST_BYTES", 100)
    assert [one.code for one in noemie.read(RETURN).findings] == ["NOE-017"]
    assert noemie_entities.MOST_BYTES == 64 * 1024 * 1024


@given(st.binary(max_size=400) | st.binary(max_size=300).map(lambda data: RETURN[:128] + data))
def test_any_bytes_give_a_return(data: bytes) -> None:
    read = noemie.read(data)
    assert read.blocked
    assert Return.from_json(read.to_json()) == read


@given(st.lists(st.tuples(st.integers(0, len(RETURN) - 1), st.integers(0, 255)), max_size=20))
def test_flipped_bytes_give_a_return(flips: list[tuple[int, int]]) -> None:
    data = bytearray(RETURN)
    for at, value in flips:
        data[at] = value
    read = noemie.read(bytes(data))
    assert Return.from_json(read.to_json()) == read


@given(st.lists(st.sampled_from([layout.write({}) for layout in LAYOUTS.values()])))
def test_entities_in_any_order_give_a_return(parts: list[str]) -> None:
    read = noemie.read("".join(parts).encode())
    assert Return.from_json(read.to_json()) == read


@given(st.integers(0, len(RETURN) - 1))
def test_a_cut_return_settles_nothing(size: int) -> None:
    assert noemie.read(RETURN[:size]).blocked
