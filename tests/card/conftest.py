"""A pcscd for the whole run, an empty reader for each test, and a card without reader for what is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from card_bench import InsertedCard, Pcscd, bare_card
from development_pki import Pki
from virtual_cps.card import ATR, VirtualCps

from gateway.card.cps import Cps

Insert = Callable[..., InsertedCard]


@pytest.fixture(scope="session")
def running_pcscd() -> Iterator[Pcscd]:
    pcscd = Pcscd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCSCLITE_CSOCK_NAME", str(pcscd.socket))
        yield pcscd
    pcscd.close()


@pytest.fixture
def pcscd(running_pcscd: Pcscd) -> Iterator[Pcscd]:
    yield running_pcscd
    running_pcscd.empty()


@pytest.fixture
def virtual_card(pcscd: Pcscd, pki: Pki, tmp_path: Path) -> Insert:
    """``virtual_card(*options, name=…)`` inserts a card whose codes are new."""

    def insert(*options: str, **chosen: object) -> InsertedCard:
        state = tmp_path / f"codes-{len(pcscd.cards)}.json"
        return pcscd.insert(pki, state, *options, **chosen)  # type: ignore[arg-type]

    return insert


@pytest.fixture
def bare(pki: Pki, tmp_path: Path) -> VirtualCps:
    return bare_card(pki, tmp_path / "codes.json")


@pytest.fixture
def cps(bare: VirtualCps) -> Cps:
    return Cps(bare.transmit, ATR)
