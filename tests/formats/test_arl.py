"""Our private ARL: one writing, and a foreign one is never taken for it."""

from __future__ import annotations

import pytest

from gateway.errors import Refused
from gateway.formats.arl import Arl, ArlLot

LOT = ArlLot("991038431", "00000001025996", "001", "2025-11-22")
ARL = Arl("0f3c", LOT, "negative", "L-01", "Lot daté dans le futur.", "2026-08-01T12:00:00Z", "01996")


def test_its_one_writing() -> None:
    assert ARL.to_bytes().decode() == (
        '{"at":"2026-08-01T12:00:00Z","code":"L-01","fichier":"0f3c","lot":{"date":"2025-11-22",'
        '"destination":"00000001025996","emitter":"991038431","number":"001"},"payer":"01996",'
        '"text":"Lot daté dans le futur.","verdict":"negative","version":1}'
    )
    assert Arl.from_bytes(ARL.to_bytes()) == ARL


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b'"version":1', b'"version":3', "version 3 inconnue"),
        (b'"verdict":"negative"', b'"verdict":"no"', "verdict"),
        (b'"number":"001"', b'"number":1', "lot.number"),
    ],
)
def test_anything_else_is_refused(old: bytes, new: bytes, word: str) -> None:
    with pytest.raises(Refused) as refused:
        Arl.from_bytes(ARL.to_bytes().replace(old, new))
    assert refused.value.code == "ARL-001"
    assert word in refused.value.text


@pytest.mark.parametrize("foreign", [b"", b"000CT00000001025996", b"\xff\xfe"])
def test_a_foreign_arl_is_refused(foreign: bytes) -> None:
    with pytest.raises(Refused, match="ARL-001"):
        Arl.from_bytes(foreign)
