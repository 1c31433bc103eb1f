"""Who may come in, and at which of its addresses a partner is found."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from development_pki import Pki
from shelf import SHORT, Shelf, serving

from gateway.envelope.names import common_name
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.link.client import Partner
from gateway.link.partners import Addresses, PartnerEntry, Partners, Passwords, connect_any
from gateway.link.passwords import password_fits, password_hash

HASH = password_hash("secret")
CALLER = Partner("nowhere.invalid", 1, "BOX", "OCT", "SECRET", timers=SHORT)


def test_a_password_fits_its_own_hash_only() -> None:
    assert "secret" not in HASH and password_hash("secret") != HASH, "salted"
    assert password_fits("secret", HASH)
    for password, other in (("Secret", HASH), ("", HASH), ("secret", ""), ("secret", "secret"), ("", "scrypt$$")):
        assert not password_fits(password, other)


@pytest.mark.parametrize("broken", ["scrypt$zz$00", "scrypt$00", "md5$00$00", "scrypt$00$é"])
def test_a_hash_of_another_form_fits_nothing(broken: str) -> None:
    assert not password_fits("secret", broken)


def code(passwords: Passwords, who: str, password: str, now: float = 0.0) -> str:
    try:
        passwords.check(who, password, now)
    except Trouble as trouble:
        assert trouble.scope is Scope.ROUTE, "never a file"
        return trouble.code
    return ""


@pytest.mark.fact("F-140")
def test_wrong_passwords_are_counted_by_partner_and_slow_the_next_try() -> None:
    passwords = Passwords({"A": HASH, "B": HASH})
    assert [code(passwords, "A", "wrong") for _ in range(4)] == ["PES-3.304"] * 3 + ["PES-3.322"]
    assert code(passwords, "A", "secret", 0.9) == "PES-3.322", "too soon, even with the right one"
    assert code(passwords, "B", "secret") == "", "another partner has its own count"
    assert code(passwords, "A", "wrong", 1.0) == "PES-3.304"
    assert code(passwords, "A", "secret", 2.9) == "PES-3.322", "twice as long now"
    assert code(passwords, "A", "secret", 3.0) == ""
    assert [code(passwords, "A", "wrong", 4.0) for _ in range(3)] == ["PES-3.304"] * 3, "counted from one again"


def test_the_unknown_share_one_count_and_cost_as_much() -> None:
    passwords = Passwords({"A": HASH})
    began = time.process_time()
    assert [code(passwords, f"X{n}", "secret") for n in range(4)] == ["PES-3.304"] * 3 + ["PES-3.322"]
    assert time.process_time() - began > 0.03, "three times scrypt"
    assert code(passwords, "A", "secret") == ""


def test_the_right_password_costs_scrypt_once() -> None:
    passwords = Passwords({"A": HASH})
    code(passwords, "A", "secret")
    began = time.process_time()
    assert [code(passwords, "A", "secret") for _ in range(100)] == [""] * 100
    assert time.process_time() - began < 0.5
    assert code(passwords, "A", "Secret") == "PES-3.304"


def admitted(partners: Partners, who: str, password: str, certificate: bytes | None = None) -> str:
    try:
        partners.admit(who, password, certificate)
    except Trouble as trouble:
        return trouble.code
    return ""


def test_a_partner_has_no_more_connections_than_its_entry_allows() -> None:
    entry = PartnerEntry("A", HASH, connections=2)
    partners = Partners([entry, PartnerEntry("B", HASH)], lambda: 0.0)
    assert [admitted(partners, "A", "secret") for _ in range(3)] == ["", "", "PES-3.309"]
    partners.leave(entry)
    assert [admitted(partners, "A", "secret") for _ in range(2)] == ["", "PES-3.309"]
    assert [admitted(partners, "B", "secret") for _ in range(70)] == [""] * 70


@pytest.mark.fact("F-05", "F-141")
def test_a_certificate_stands_beside_the_password_or_in_its_place(pki: Pki) -> None:
    box, other = pki.certificate("box-transport"), pki.certificate("box-seal")
    name = common_name(box)
    both, alone = PartnerEntry("BOTH", HASH, name), PartnerEntry("ALONE", "", name)
    partners = Partners([both, alone, PartnerEntry("NOTHING")], lambda: 0.0)
    assert admitted(partners, "BOTH", "secret", box) == ""
    assert admitted(partners, "BOTH", "wrong", box) == "PES-3.304"
    assert admitted(partners, "ALONE", "", box) == ""
    for who in ("BOTH", "ALONE"):
        assert admitted(partners, who, "secret", other) == admitted(partners, who, "secret") == "PES-3.304"
    assert admitted(partners, "NOTHING", "") == "PES-3.304", "an entry that asks for nothing lets nobody in"


# --- several addresses -----------------------------------------------------------------------------------------------


def closed() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_the_second_address_is_taken_when_the_first_is_gone_and_remembered(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as port:
            addresses = Addresses([("127.0.0.1", closed()), ("127.0.0.1", port)])
            async with connect_any(CALLER, addresses):
                assert addresses.answering == 1
            assert [place for place, _, _ in addresses.in_order()] == [1, 0]
            async with connect_any(CALLER, addresses, first=0):
                assert addresses.answering == 1, "a drill of the first found it gone"

    asyncio.run(talk())


def test_a_drill_begins_where_it_is_told(tmp_path: Path) -> None:
    async def talk() -> None:
        shelf = Shelf(tmp_path)
        async with serving(shelf) as first, serving(shelf) as second:
            addresses = Addresses([("127.0.0.1", first), ("127.0.0.1", second)])
            async with connect_any(CALLER, addresses):
                assert addresses.answering == 0
            async with connect_any(CALLER, addresses, first=1):
                assert addresses.answering == 1

    asyncio.run(talk())


def test_a_refusal_is_not_taken_to_another_address(tmp_path: Path) -> None:
    async def talk() -> None:
        first, second = Shelf(tmp_path), Shelf(tmp_path)
        async with serving(first) as here, serving(second) as there:
            addresses = Addresses([("127.0.0.1", here), ("127.0.0.1", there)])
            with pytest.raises(Refused) as refused:
                async with connect_any(replace(CALLER, password="WRONG"), addresses):
                    pass
        assert refused.value.code == "PES-3.304" and refused.value.scope is Scope.ROUTE
        assert (len(first.certificates), len(second.certificates)) == (1, 0)

    asyncio.run(talk())


def test_when_none_answers_all_are_named(tmp_path: Path) -> None:
    async def talk() -> None:
        ports = [closed(), closed()]
        with pytest.raises(Deferred) as deferred:
            async with connect_any(CALLER, Addresses([("127.0.0.1", port) for port in ports])):
                pass
        assert all(str(port) in deferred.value.text for port in ports)
        assert (deferred.value.code, deferred.value.scope) == ("PES-UNREACHABLE", Scope.ROUTE)

    asyncio.run(talk())
