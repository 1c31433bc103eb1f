"""A pcscd of our own with one card in it, for programs that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from card_bench import InsertedCard, Pcscd, until_seen
from development_pki import Pki


@pytest.fixture(scope="module")
def apart() -> Iterator[Pcscd]:
    pcscd = Pcscd()
    yield pcscd
    pcscd.close()


@pytest.fixture(scope="module")
def inserted(apart: Pcscd, pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> InsertedCard:
    card = apart.start_card(pki, tmp_path_factory.mktemp("card") / "codes.json")
    until_seen(apart)
    return card
