"""Files that are written are sound and hold exactly the lots that were given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import b2
from gateway.formats.b2_write import write_fichier
from gateway.formats.findings import Facture, Lot
from gateway.formats.keys import nir_key


@st.composite
def factures(draw: st.DrawFn) -> Facture:
    nir = "1550599" + draw(st.text("0123456789", min_size=6, max_size=6))
    spent = draw(st.integers(1, 99999))
    amo = draw(st.integers(0, spent))
    amc = draw(st.integers(0, spent - amo))
    return Facture("", f"{nir}{nir_key(nir):02d}", amo, amc, spent, f"2025-11-{draw(st.integers(1, 22)):02d}")


@given(st.lists(st.lists(factures(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_is_written_is_sound_and_read_back(drawn: list[list[Facture]]) -> None:
    numbers = iter(range(1, 100))
    lots = tuple(
        Lot(
            "991038431",
            "00000001025996",
            f"{number:03d}",
            "2025-11-22",
            tuple(Facture(f"{next(numbers):09d}", *list(vars(one).values())[1:]) for one in members),
        )
        for number, members in enumerate(drawn, start=1)
    )
    data = write_fichier(lots, "SYN001", "2025-11-22")
    report = b2.check(data, today="2025-11-22")
    assert report.findings == ()
    assert report.lots == lots
    assert len(data) % 128 == 0


def test_what_does_not_fit_is_a_bug() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        write_fichier([Lot("991038431", "00000001025996", "1000", "2025-11-22", ())], "SYN001", "2025-11-22")
