"""A card that was updated, and one whose update did not come to its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from card_bench import InsertedCard, bare_card
from card_service import ITEMS, Running, check, told
from development_pki import Pki
from virtual_cps.card import ATR

from gateway.card.cps import Cps, update_ended
from gateway.errors import Refused, Scope

Insert = Callable[..., InsertedCard]

BEGAN, ENDED = "8107 20240312101500", "8207 20240312101742"
DONE = bytes.fromhex(f"EC12 {BEGAN} {ENDED}")
FILES = {
    "both dates": (DONE, True),
    "both, and what fills the file": (DONE + bytes(12), True),
    "the end first": (bytes.fromhex(f"EC12 {ENDED} {BEGAN}"), True),
    "empty": (b"", False),
    "filled with nothing": (bytes(20), False),
    "erased": (b"\xff" * 20, False),
    "no end": (bytes.fromhex(f"EC09 {BEGAN}"), False),
    "no beginning": (bytes.fromhex(f"EC09 {ENDED}"), False),
    "an end of zeros": (bytes.fromhex(f"EC12 {BEGAN} 8207 00000000000000"), False),
    "an end that is erased": (bytes.fromhex(f"EC12 {BEGAN} 8207 FFFFFFFFFFFFFF"), False),
    "an end without its time": (bytes.fromhex(f"EC0F {BEGAN} 8204 20240312"), False),
    "an end cut short": (DONE[:-3], False),
    "another template": (b"\xed" + DONE[1:], False),
}


@pytest.mark.parametrize("case", FILES)
def test_whether_an_update_ended(pki: Pki, tmp_path: Path, case: str) -> None:
    file, ended = FILES[case]
    assert update_ended(file) is ended
    cps = Cps(bare_card(pki, tmp_path / "codes.json", update=file).transmit, ATR)
    if ended:
        cps.check_update()
        return
    with pytest.raises(Refused) as caught:
        cps.check_update()
    assert (caught.value.code, caught.value.scope) == ("CPS-UPDATE", Scope.CARD)


def test_a_card_that_never_had_an_update_is_well(cps: Cps) -> None:
    cps.check_update()


def test_a_file_that_cannot_be_read_is_not_taken_for_none(pki: Pki, tmp_path: Path) -> None:
    card = bare_card(pki, tmp_path / "codes.json", update=DONE)
    cps = Cps(lambda tpdu: b"\x69\x85" if tpdu[1] == 0xB0 else card.transmit(tpdu), ATR)
    with pytest.raises(Refused, match="CPS-6985"):
        cps.check_update()


def test_an_updated_card_signs(virtual_card: Insert, tmp_path: Path) -> None:
    virtual_card("--update", DONE.hex())

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        await service.state("locked")
        assert await service.open() == {"ok": True}
        check(await service.offered(ITEMS, *(item.fichier for item in ITEMS)), ITEMS)

    told(tmp_path, story)


def test_a_card_whose_update_did_not_end_signs_nothing(virtual_card: Insert, tmp_path: Path) -> None:
    card = virtual_card("--update", FILES["no end"][0].hex())

    async def story(service: Running) -> None:
        await service.card.offer(ITEMS, 0.0)
        said = await service.state("unfinished")
        assert said["text"] == "La mise à jour de la carte a commencé et n'est pas allée à son terme."
        given = await service.open()
        assert (given["ok"], given["code"]) == (False, "CPS-UPDATE")
        assert (await service.card.offer(ITEMS, 0.5))["signed"] == []
        card.pull()
        await service.state("absent")
        virtual_card("--update", DONE.hex())
        await service.state("locked")

    told(tmp_path, story)
