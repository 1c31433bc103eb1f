"""Bundles of revocation lists, and which list follows which."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from development_pki import Pki
from hypothesis import given
from hypothesis import strategies as st
from large_list import LargeList
from line_certificates import make_list

from gateway.envelope.certificates import load_lists
from gateway.envelope.lists import authorities, bundle, is_newer, newest, read_listing, series, unbundle
from gateway.errors import Refused

NOW = datetime.now(UTC).replace(microsecond=0)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_a_bundle_has_one_writing(lists: list[bytes]) -> None:
    data = bundle(lists)
    assert unbundle(data) == sorted(set(lists))
    assert bundle(reversed(lists)) == data


@given(st.binary(max_size=300))
def test_nothing_else_is_a_bundle(data: bytes) -> None:
    with pytest.raises(Refused, match="LST-001"):
        unbundle(data)


def test_others_read_a_bundle(pki: Pki, tmp_path: Path) -> None:
    data = bundle(pki.lists)
    assert sorted(load_lists(data)) == sorted(pki.lists)
    (tmp_path / "one.pem").write_bytes(bundle(pki.lists[:1]))
    said = subprocess.run(["openssl", "crl", "-in", tmp_path / "one.pem", "-noout", "-crlnumber"], capture_output=True)
    assert said.returncode == 0


def test_the_authorities_are_those_below_our_root(pki: Pki) -> None:
    foreign = pki.certificate("zoo/chains/etrangere")
    known = authorities([pki.root], [*pki.chain, foreign, pki.certificate("oct-seal")])
    assert [one.name.removeprefix("OCT-GATEWAY TEST ") for one in known] == [
        "Racine", "AC Boîtiers", "AC Concentrateurs", "AC Professionnels",
    ]  # fmt: skip
    assert len({one.key for one in known}) == 4


@pytest.mark.parametrize(("number", "same", "expected"), [(6, False, True), (7, True, False), (6, True, False)])
def test_a_number_only_grows(pki: Pki, number: int, same: bool, expected: bool) -> None:
    known = authorities([pki.root], pki.chain)
    listing = read_listing(make_list(pki, "oct", NOW, number=7), known)
    assert listing is not None and (listing.number, listing.since) == (7, NOW)
    assert is_newer(listing, number, listing.digest if same else "other") is expected


@pytest.mark.parametrize("number", [7, 8, 1 << 150])
def test_it_never_goes_back_nor_says_two_things_under_one_number(pki: Pki, number: int) -> None:
    listing = read_listing(make_list(pki, "oct", NOW, number=7), authorities([pki.root], pki.chain))
    assert listing is not None
    with pytest.raises(Refused, match="LST-005"):
        is_newer(listing, number, "other")


def test_of_each_authority_the_newest_list_is_offered(pki: Pki) -> None:
    newer = pki.list_naming("practitioners/99900000011/sig", datetime.now(UTC) + timedelta(days=1))
    offered = newest([newer, *pki.lists, b"junk"])
    assert newer in offered
    assert len(offered) == len(pki.lists)
    assert len(set(pki.lists) - set(offered)) == 1


def test_two_keys_of_one_name_have_a_series_each(pki: Pki) -> None:
    """Its successor's key may be in use already (RFC 5280 §5.2.1)."""
    issuer = pki.certificate("chains/sante")
    lists = [LargeList(issuer, pki.key(f"ca/{key}"), NOW, 2).signed(NOW) for key in ("sante", "oct")]
    assert newest(lists) == lists
    assert len({series(x509.load_der_x509_crl(one)) for one in (*lists, make_list(pki, "sante", NOW))}) == 2
