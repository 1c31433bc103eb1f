"""Returns that are written: the sample byte for byte, and every value read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from b2_edits import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import noemie
from gateway.formats.keys import nir_key
from gateway.formats.noemie_values import Line, Part, Reject, Return, ReturnedFacture, Transfer, Unknown, Withholding
from gateway.formats.noemie_write import Person, write_return

SAMPLE = (SAMPLES / "noemie_new_form_paid_and_rejected.noe").read_bytes()
PEOPLE = {
    "001000001": Person("TEST", "SYNTH", "550501", 1, "TEST", "SYNTH1"),
    "001000002": Person("TEST", "SYNTH", "600614", 1, "TEST", "SYNTH2"),
}
READ = noemie.read(SAMPLE)


def test_the_sample_is_written_byte_for_byte() -> None:
    assert write_return(READ, PEOPLE, test=True) == SAMPLE


@st.composite
def parts(draw: st.DrawFn) -> Part:
    asked = draw(st.integers(0, 10**8 - 1))
    state = draw(st.sampled_from(("", "P", "R", "D")))
    return Part(asked, state, asked if state == "P" else 0)


TEXT = st.text("ABCDEFGH 0123@", max_size=30).map(str.strip)
COMMENTS = st.lists(TEXT.filter(bool), max_size=2)
REJECTS = st.builds(
    Reject,
    st.text("0123456789", min_size=4, max_size=4),
    TEXT,
    st.sampled_from("FLA"),
    st.sampled_from("CO"),
    act=st.sampled_from(["", "C", "CS"]),
    care_date=st.sampled_from(["", "2025-11-03"]),
    info=TEXT,
)


@st.composite
def factures(draw: st.DrawFn) -> ReturnedFacture:
    nir = "1550599" + draw(st.text("0123456789", min_size=6, max_size=6))
    amc = draw(st.none() | parts())
    return ReturnedFacture(
        number=draw(st.text("0123456789", min_size=9, max_size=9)),
        lot_number=draw(st.sampled_from(["001", "002"])),
        lot_date="2025-11-22",
        kind=draw(st.sampled_from("ABDF")),
        amo=draw(parts()),
        amc=amc,
        rejects=tuple(draw(st.lists(REJECTS, max_size=2))),
        nir=f"{nir}{nir_key(nir):02d}",
        amc_no="0098532005" if amc else "",
        invoice_date="2025-11-22",
        insurance="10",
    )


@given(st.lists(factures(), max_size=4), COMMENTS, st.sampled_from([(), ("98532005",)]))
def test_what_is_written_is_read_back(
    drawn: list[ReturnedFacture], comments: list[str], bodies: tuple[str, ...]
) -> None:
    told = Return(
        reference="908",
        emitter_type="CT",
        emitter_no="00000001025996",
        dest_type="TE",
        dest_no="00000991038431",
        payee="000000991038431",
        file_id="ABC123",
        created="2025-11-25",
        total_cents=sum(facture.paid_cents for facture in drawn),
        transfers=(Transfer("2025-11-25", "CPAM", "REF", "0101000996"),),
        factures=tuple(drawn),
        unknown=(),
        findings=(),
        bodies=bodies,
        comments=tuple(comments),
    )
    assert noemie.read(write_return(told)) == told


@pytest.mark.parametrize(
    "cannot",
    [
        replace(READ, transfers=()),
        replace(READ, unknown=(Unknown(0, "x"),)),
        replace(READ, lumps_cents=1),
        replace(READ, withholdings=(Withholding("", "", "", "", 1, 0),)),
        replace(READ, factures=(replace(READ.factures[0], lines=(Line("C", "", 1, 1, 1, 0),)),)),
        replace(READ, factures=(replace(READ.factures[0], amo=Part(None, "P", 1)),)),
    ],
)
def test_what_the_new_form_cannot_hold_is_not_dropped_silently(cannot: Return) -> None:
    with pytest.raises(ValueError):
        write_return(cannot)
