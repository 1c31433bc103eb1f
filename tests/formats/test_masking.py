"""NIRs are masked in other people's texts; numbers of the trade, amounts, days and moments are not."""

from __future__ import annotations

import re

import pytest
from b2_edits import TWO_LOTS
from samples import b2, nir

from gateway.formats.b2 import check
from gateway.formats.masking import name_without_nir, without_nir

NIR = nir(42)
CORSICAN = "1" + "85052A" + "123456"

GROUPS = (NIR[0], NIR[1:3], NIR[3:5], NIR[5:7], NIR[7:10], NIR[10:13], NIR[13:])
MASKED = [
    *(gap.join(GROUPS) for gap in " .-/_\u00a0"), "-".join(GROUPS[:6]), "NIR 2-85-05-2a-123-456.",
    f"ASSURE {NIR} INCONNU", f"ASSURE {NIR[:13]} INCONNU", f"NIR:{NIR}.", f"({NIR[:13]} {NIR[13:]})",
    f"{NIR[0]} {NIR[1:3]} {NIR[3:5]} {NIR[5:7]} {NIR[7:10]} {NIR[10:13]}", f"{NIR}{NIR}", f"{NIR[:13]}9", CORSICAN,
]  # fmt: skip
LEFT = [
    "Lot 123, facture 000000302 du 12/11/2026", "émetteur 00000991038431", "1 234,56 € demandés, 12,00 € réglés",
    "destinataire 00000001025996", "12345678901", "",
]  # fmt: skip


@pytest.mark.parametrize("text", MASKED)
def test_what_may_be_a_nir_is_masked(text: str) -> None:
    shown = without_nir(text)
    assert "…" in shown
    assert NIR[4:13] not in re.sub("[^0-9]", "", shown)
    assert "123-456" not in shown
    assert CORSICAN[4:] not in shown


@pytest.mark.parametrize("text", LEFT)
def test_what_is_none_is_left(text: str) -> None:
    assert without_nir(text) == text


@pytest.mark.parametrize(("name", "shown"), [
    (f"{NIR}.pdf", f"{NIR[:3]}….pdf"), (f"ordonnance {NIR[:13]}.pdf", f"ordonnance {NIR[:3]}….pdf"),
    (f"{NIR[:13]}00.pdf", f"{NIR[:13]}00.pdf"), ("B2_20261123104500.b2", "B2_20261123104500.b2"),
    (f"dupont_{'_'.join(GROUPS)}.pdf", f"dupont_{NIR[0]}_{NIR[1]}….pdf"), ("2026-11-23 10-45-00-123-456.b2",) * 2,
    (f"{CORSICAN.lower()}.pdf", f"{CORSICAN[:3]}….pdf"),
    (f"{' '.join(GROUPS[:6])} 00.pdf", f"{NIR[0]} {NIR[1]}….pdf"),
    ("SCAN20261123104500123.pdf", "SCAN20261123104500123.pdf"), ("B2_1124.b2", "B2_1124.b2"),
])  # fmt: skip
def test_in_a_name_only_what_is_shaped_like_one(name: str, shown: str) -> None:
    assert name_without_nir(name) == shown


@pytest.mark.parametrize("data", [b2(7, (2,)), TWO_LOTS], ids=["made", "sample"])
def test_no_finding_of_a_shifted_file_shows_a_nir(data: bytes) -> None:
    """Records that are not where they should be bring any bytes into any zone."""
    nirs = {one.nir[:13] for lot in check(data).lots for one in lot.factures}
    assert nirs
    found = 0
    for shift in range(1, 128):
        for edited in (data[:128] + b" " * shift + data[128:], data[shift:], data[:256] + data[256 + shift :]):
            texts = " ".join(finding.text for finding in check(edited).findings)
            found += len(texts)
            assert not [one for one in nirs if one in texts.replace(" ", "")]
    assert found
