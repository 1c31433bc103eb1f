"""The rows of the profile table against the rules that hold for every sender."""

from __future__ import annotations

import pytest

from gateway.pesit.codec import HEADER
from gateway.pesit.framing import Framing
from gateway.pesit.parameters import PARAMETERS
from gateway.pesit.profiles import PROFILES, STANDARD, Alphabet, Profile


@pytest.mark.fact("F-72", "F-78", "F-81")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda row: row.name)
def test_rows_obey_what_binds_a_sender(profile: Profile) -> None:
    assert profile.article + HEADER <= profile.entity <= 65535
    assert profile.sync_kb * 1024 % profile.article == 0
    assert profile.sync_kb >= 4 and profile.window <= 16  # F-77
    assert profile.name_in in PARAMETERS
    assert b"A".decode(profile.code_page) != "A" == b"\xc1".decode(profile.code_page)
    assert profile.pre_connection is not Alphabet.ASCII  # F-11
    assert Framing.AUTO not in (profile.framing, profile.framing_tls)


@pytest.mark.fact("F-86")
def test_the_standard_sender_is_the_most_conservative() -> None:
    assert not (STANDARD.multi_article or STANDARD.segment_to_fill or STANDARD.concatenate or STANDARD.bare_abort)
    assert STANDARD.pre_connection is Alphabet.NONE


@pytest.mark.fact("F-01", "F-05", "F-13", "F-40", "F-79", "F-84")
def test_what_is_known_of_each_product() -> None:
    axway, express, waarp = (PROFILES[name] for name in ("axway", "connect-express", "waarp"))
    assert (axway.pre_connection, axway.name_in, axway.sync_kb, axway.window) == (Alphabet.EBCDIC, 37, 36, 2)
    assert (express.framing, express.framing_tls, express.name_in) == (Framing.PREFIXED, Framing.RAW, 99)
    assert (express.sync_kb, express.window, express.bare_abort) == (32, 2, True)
    assert express.multi_article and express.segment_to_fill and express.concatenate
    assert (waarp.pre_connection, waarp.name_in, waarp.window) == (Alphabet.EBCDIC, 12, 2)
