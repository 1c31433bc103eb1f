"""The FPDU table against rules that hold for every row."""

from __future__ import annotations

import pytest

from gateway.pesit.fpdus import BY_CODE, FPDUS, Layout
from gateway.pesit.parameters import GROUPS, PARAMETERS


@pytest.mark.parametrize("row", FPDUS.values(), ids=lambda row: row.name)
def test_rows_are_in_ascending_order_with_known_codes(row: Layout) -> None:
    codes = [item.code for item in row.items]
    assert codes == sorted(set(codes))
    for item in row.items:
        members = tuple(member.code for member in item.members)
        assert members == tuple(sorted(set(members)))
        assert set(members) <= set(GROUPS[item.code]) if members else item.code in PARAMETERS


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(FPDUS) == 38
