"""Which roots and sector authorities are believed beside those that are, and what succeeds what."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from later_pki import LaterPki

from gateway.envelope.box_keys import BY_NAME
from gateway.envelope.certificates import Use, check_path, load_certificates
from gateway.envelope.issuing import Asked, Authority, issue
from gateway.envelope.requests import new_key
from gateway.envelope.succession import (
    believed_roots,
    below,
    could_last_longer,
    first_root,
    known_chain,
    shown_line,
    successor,
)
from gateway.errors import Refused

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def later(pki: Pki, tmp_path: Path) -> LaterPki:
    folder = tmp_path / "pki"
    shutil.copytree(pki.directory, folder)
    return LaterPki(folder)


def der(later: LaterPki, name: str) -> bytes:
    return later.authorities[name].certificate.public_bytes(Encoding.DER)


def of(path: Path) -> bytes:
    return load_certificates(path.read_bytes())[0]


def test_a_root_that_the_old_one_signed_is_believed_beside_it(later: LaterPki) -> None:
    link = of(later.root("root-2", "root", NOW))
    old, new = der(later, "root"), der(later, "root-2")
    assert believed_roots([old], [old, new], [link], NOW + YEAR) == (old, new)
    assert believed_roots([old, new], [new], [], NOW) == (old, new), "once believed it needs no link"


def test_roots_that_followed_one_another_are_believed_in_their_order(later: LaterPki) -> None:
    links = [of(later.root(f"root-{n}", before, NOW)) for n, before in ((2, "root"), (3, "root-2"), (4, "root-3"))]
    first, *missed = (der(later, name) for name in ("root", "root-2", "root-3", "root-4"))
    assert believed_roots([first], reversed(missed), links, NOW) == (first, *missed)
    assert believed_roots([first], missed, [links[0], links[2]], NOW) == (first, missed[0]), "one link is missing"
    assert believed_roots([first], missed[1:], links, NOW) == (first,), "so is the root between"


def test_the_first_root_that_has_not_ended_is_the_one_to_know(later: LaterPki) -> None:
    later.root("root-2", "root", NOW)
    roots = [der(later, name) for name in ("root", "root-2")]
    assert [first_root(roots, NOW + years * YEAR) for years in (0, 10, 16, 30)] == [*roots[:1] * 2, *roots[1:] * 2]


def test_a_line_shows_where_it_leads_whichever_root_is_known(later: LaterPki) -> None:
    own, first = of(later.folder / "oct-transport.pem"), der(later, "oct")
    assert shown_line([own], [der(later, "sante"), first], [der(later, "root")]) == (own, first)
    link = of(later.root("root-2", "root", NOW))
    sector = of(later.sector("oct-2", "oct", "root-2", NOW))
    later.again("oct-transport", "oct-2", NOW)
    new, roots = of(later.folder / "oct-transport.pem"), [der(later, "root"), der(later, "root-2")]
    assert shown_line([new, sector], [first, sector, link], roots) == (new, sector, link, roots[1])
    assert below([first, sector, link, *roots], roots) == (first, sector)


def test_nobody_else_vouches_for_a_root(later: LaterPki, pki: Pki) -> None:
    link = of(later.root("root-2", "root", NOW))
    old, new = der(later, "root"), der(later, "root-2")
    foreign, stranger = pki.certificate("zoo/foreign-root"), of(later.root("root-3", "root-2", NOW))
    for offered, links, at in (
        ([new], [], NOW),  # itself alone
        ([foreign], [link], NOW),  # a link for another root
        ([der(later, "root-3")], [stranger], NOW),  # signed by a root that is not believed
        ([new], [link], NOW + 20 * YEAR),  # too late: the old root has ended
        ([der(later, "oct")], [der(later, "oct")], NOW),  # no root
    ):
        assert believed_roots([old], offered, links, at) == (old,)
    with pytest.raises(Refused, match="CMS-030"):
        believed_roots([old], [b"0"], [], NOW)


def test_a_sector_authority_is_known_by_the_root_that_signed_it(later: LaterPki, pki: Pki) -> None:
    link = of(later.root("root-2", "root", NOW))
    roots, chain = (der(later, "root"), der(later, "root-2")), (der(later, "oct"),)
    below = [of(later.sector(f"oct-{root}", "oct", root, NOW)) for root in ("root", "root-2")]
    strangers = [pki.certificate("zoo/chains/etrangere"), pki.certificate("box-sign"), link, roots[1]]
    assert known_chain(chain, [*chain, *below, *strangers], roots, NOW) == (*chain, *below)
    assert known_chain(chain, below, roots[:1], NOW) == (*chain, below[0])
    assert known_chain(chain, below, roots, NOW + 11 * YEAR) == chain, "what has ended is not taken, nor taken away"


def test_what_was_issued_under_the_new_root_holds(later: LaterPki) -> None:
    link = of(later.root("root-2", "root", NOW))
    files = [later.sector("oct-2", "oct", "root-2", NOW)]
    later.again("oct-seal", "oct-2", NOW)
    later.publish(NOW, 30)
    lists = [
        x509.load_pem_x509_crl(part + b"-----END X509 CRL-----\n").public_bytes(Encoding.DER)
        for part in (later.folder / "crl/all.pem").read_bytes().split(b"-----END X509 CRL-----\n")[:-1]
    ]
    roots = believed_roots([der(later, "root")], [der(later, "root-2")], [link], NOW)
    chain = known_chain([der(later, "oct")], [link, *map(of, files)], roots, NOW)
    path = check_path(of(later.folder / "oct-seal.pem"), chain, roots, lists, NOW, Use.SEAL)
    assert path.certificates[1:] == (der(later, "oct-2"), der(later, "root-2"))


def test_a_sector_is_succeeded_by_the_same_purposes_that_last_longer(later: LaterPki) -> None:
    first = [der(later, name) for name in ("sante", "oct", "boites")]
    assert [successor(one, first) for one in first] == [None] * 3
    newer = of(later.sector("oct-2", "oct", "root", NOW))
    last = of(later.sector("oct-3", "oct", "root", NOW + YEAR))
    assert [successor(one, [*first, newer, last]) for one in (*first, last)] == [None, last, None, None]


def test_a_certificate_that_ends_with_its_authority_waits_for_the_next(later: LaterPki, pki: Pki) -> None:
    """Or it would be renewed on each of its last ninety days."""
    end = later.authorities["boites"].certificate.not_valid_after_utc
    first = [der(later, name) for name in ("sante", "oct", "boites")]
    assert could_last_longer(pki.certificate("box-sign"), first)
    cut = _ending(later, end)
    assert not could_last_longer(cut, first)
    assert could_last_longer(cut, [*first, of(later.sector("boites-2", "boites", "root", end - YEAR))])
    assert could_last_longer(cut, first[:2]), "an authority that is not known here may do anything"


def _ending(later: LaterPki, end: datetime) -> bytes:
    """A certificate of a box that ends to the second with its authority."""
    row, boites = BY_NAME["box-sign"], later.authorities["boites"]
    asked = Asked(new_key(row).public_key(), ())
    return issue(Authority(boites.certificate, boites.key), row, asked, "C", "b", end - timedelta(days=60))
