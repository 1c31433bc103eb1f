"""Who may do what: the zoo of ``pki.toml``, every use against every certificate, and hostile bytes."""

from __future__ import annotations

import base64
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from development_pki import Pki

from gateway.envelope import der
from gateway.envelope.certificates import (
    Path,
    Use,
    check_path,
    line_of,
    lists_of,
    load_certificates,
    load_key,
    load_lists,
)
from gateway.errors import Deferred, Refused, Scope, Trouble
from gateway.formats.days import PARIS

NOW = datetime.now(UTC)
CARD = "practitioners/99900000011"


def check(pki: Pki, name: str, use: Use, at: datetime = NOW, lists: list[bytes] | None = None) -> Path:
    zoo = [pki.certificate(f"zoo/chains/{sector}") for sector in ("sante-revoquee", "etrangere")]
    leaf, known = pki.certificate(name), pki.lists if lists is None else lists
    return check_path(leaf, [*pki.chain, *zoo], [pki.root], known, at, use)


MAY = {
    f"{CARD}/sig": {Use.SIGN_FICHIER},
    f"{CARD}/auth": {Use.AUTHENTICATE, Use.TRANSPORT},
    "oct-seal": {Use.SEAL},
    "oct-sign": {Use.SIGN_RETURN},
    "oct-transport": {Use.TRANSPORT},
    "box-seal": {Use.SEAL},
    "box-delivery": {Use.SEAL},
    "recovery": {Use.SEAL},
    "box-sign": {Use.SIGN_JOURNAL},
    "box-transport": {Use.TRANSPORT, Use.AUTHENTICATE},
    "box-lan-intake": {Use.TRANSPORT},
    "box-lan-status": {Use.TRANSPORT},
    "zoo/wrong-sector": set(),
}


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("name", MAY)
def test_each_certificate_serves_its_use_and_no_other(pki: Pki, name: str, use: Use) -> None:
    if use in MAY[name]:
        path = check(pki, name, use)
        assert len(path.certificates) == 3
        assert (path.certificates[0], path.certificates[2]) == (pki.certificate(name), pki.root)
        assert timedelta(days=29) < path.lists_until - NOW < timedelta(days=31)
        return
    with pytest.raises(Refused, match="CMS-034"):
        check(pki, name, use)


ZOO = {
    "revoked": ("zoo/revoked/sig", Use.SIGN_FICHIER, Refused, "CMS-036", Scope.CARD),
    "revoked authority": ("zoo/revoked-authority/sig", Use.SIGN_FICHIER, Refused, "CMS-036", Scope.CARD),
    "revoked, of the OCT": ("zoo/revoked-oct-seal", Use.SEAL, Refused, "CMS-036", Scope.ROUTE),
    "expired": ("zoo/expired/sig", Use.SIGN_FICHIER, Refused, "CMS-032", Scope.CARD),
    "not yet valid": ("zoo/not-yet-valid/auth", Use.AUTHENTICATE, Deferred, "CMS-033", Scope.BOX),
    "of strangers": ("zoo/foreign/sig", Use.SIGN_FICHIER, Refused, "CMS-031", Scope.CARD),
    "an intermediate": ("chains/oct", Use.SIGN_RETURN, Refused, "CMS-035", Scope.ROUTE),
    "the root": ("root", Use.SIGN_RETURN, Refused, "CMS-035", Scope.ROUTE),
}


@pytest.mark.parametrize(("name", "use", "kind", "code", "scope"), ZOO.values(), ids=ZOO)
def test_the_zoo(pki: Pki, name: str, use: Use, kind: type[Trouble], code: str, scope: Scope) -> None:
    with pytest.raises(kind) as trouble:
        check(pki, name, use)
    assert (trouble.value.code, trouble.value.scope) == (code, scope)


DAYS = {
    "two years before": (-730, Deferred, "CMS-033", Scope.BOX),
    "two years after": (740, Refused, "CMS-032", Scope.ROUTE),
    "when all authorities have expired": (6000, Refused, "CMS-032", Scope.ROUTE),
}


@pytest.mark.parametrize(("days", "kind", "code", "scope"), DAYS.values(), ids=DAYS)
def test_dates(pki: Pki, days: int, kind: type[Trouble], code: str, scope: Scope) -> None:
    with pytest.raises(kind) as trouble:
        check(pki, "oct-seal", Use.SEAL, NOW + timedelta(days=days))
    assert (trouble.value.code, trouble.value.scope) == (code, scope)


def test_a_stranger_from_the_future_does_not_make_us_doubt_our_clock(pki: Pki) -> None:
    with pytest.raises(Refused, match="CMS-031"):
        check(pki, "zoo/foreign/sig", Use.SIGN_FICHIER, NOW - timedelta(days=100))


def test_without_its_intermediate_there_is_no_path(pki: Pki) -> None:
    with pytest.raises(Refused, match="CMS-031"):
        check_path(pki.certificate("oct-seal"), [], [pki.root], pki.lists, NOW, Use.SEAL)


def issue(
    pki: Pki, authority: str, *extensions: tuple[x509.ExtensionType, bool], until: datetime = NOW + timedelta(days=1)
) -> bytes:
    """An end entity under one of the sectors, with these extensions only."""
    issuer = x509.load_der_x509_certificate(pki.certificate(f"chains/{authority}"))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "essai")])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(issuer.subject, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(until)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(pki.key(f"ca/{authority}"), hashes.SHA256()).public_bytes(Encoding.DER)


def usage(*names: str) -> tuple[x509.ExtensionType, bool]:
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
        "crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in names for name in every.split()}), True


def test_an_end_is_told_as_a_day_of_paris(pki: Pki) -> None:
    midnight = NOW.astimezone(PARIS).replace(hour=0, minute=30, second=0, microsecond=0)
    leaf = issue(pki, "sante", usage("content_commitment"), until=midnight)
    with pytest.raises(Refused, match=f"CMS-032 .* a expiré le {midnight:%d/%m/%Y}"):
        check_path(leaf, pki.chain, [pki.root], pki.lists, midnight + timedelta(minutes=1), Use.SIGN_FICHIER)


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
LEAVES = {
    "no key usage": ("sante", [], Use.SIGN_FICHIER, "CMS-034"),
    "purpose needed and absent": ("oct", [usage("digital_signature")], Use.SIGN_RETURN, "CMS-034"),
    "purpose outside the sector": ("boites", [usage("content_commitment")], Use.SIGN_FICHIER, "CMS-034"),
    "unknown critical extension": (
        "sante",
        [usage("content_commitment"), (UNKNOWN, True)],
        Use.SIGN_FICHIER,
        "CMS-044",
    ),
}


@pytest.mark.parametrize(("authority", "extensions", "use", "code"), LEAVES.values(), ids=LEAVES)
def test_leaves(pki: Pki, authority: str, extensions: list, use: Use, code: str) -> None:
    leaf = issue(pki, authority, *extensions)
    with pytest.raises(Refused, match=code):
        check_path(leaf, pki.chain, [pki.root], pki.lists, NOW, use)


def test_a_card_certificate_without_any_purpose_may_sign(pki: Pki) -> None:
    leaf = issue(pki, "sante", usage("content_commitment"), (UNKNOWN, False))
    assert check_path(leaf, pki.chain, [pki.root], pki.lists, NOW, Use.SIGN_FICHIER)


def test_an_end_entity_cannot_issue(pki: Pki) -> None:
    """A fourth level, signed by an end entity, has no path."""
    issuer = x509.load_der_x509_certificate(pki.certificate("oct-sign"))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "essai")])
    builder = x509.CertificateBuilder(
        issuer.subject, name, issuer.public_key(), 5, NOW - timedelta(days=1), NOW + timedelta(days=1)
    ).add_extension(*usage("digital_signature"))
    leaf = builder.sign(pki.key("oct-sign"), hashes.SHA256()).public_bytes(Encoding.DER)
    chain = [*pki.chain, pki.certificate("oct-sign")]
    with pytest.raises(Refused, match="CMS-031"):
        check_path(leaf, chain, [pki.root], pki.lists, NOW, Use.SIGN_RETURN)


def test_every_flipped_byte_of_a_certificate_is_refused(pki: Pki) -> None:
    """Only the count of unused bits of the signature may differ (pyca lets it): nothing that was signed."""
    certificate, chain, lists = pki.certificate("oct-seal"), [pki.certificate("chains/oct")], pki.lists
    signed = x509.load_der_x509_certificate(certificate).tbs_certificate_bytes
    for position, mask in itertools.product(range(len(certificate)), (0x01, 0x0F)):  # 0F: UTF8 to BIT STRING
        touched = bytearray(certificate)
        touched[position] ^= mask
        try:
            check_path(bytes(touched), chain, [pki.root], lists, NOW, Use.SEAL)
        except Trouble:
            continue
        assert x509.load_der_x509_certificate(bytes(touched)).tbs_certificate_bytes == signed
        assert position > len(signed)


def having(certificate: bytes, *, version: int = 2, start: str = "20260101000000Z") -> bytes:
    """The certificate with another version (2 is v3) and beginning, written by hand: no library makes all of them."""
    whole = asn1_x509.Certificate.load(certificate)
    _, *fields = (one.dump() for one in (whole["tbs_certificate"][at] for at in range(10)) if one.dump())
    dates = der.sequence(der.tlv(der.GENERALIZED_TIME, start.encode()), der.time(NOW + timedelta(days=1)))
    tbs = der.sequence(der.tlv(der.context(0), der.integer(version)), *fields[:3], dates, *fields[4:])
    return der.sequence(tbs, whole["signature_algorithm"].dump(), whole["signature_value"].dump())


STRANGE = {"a year 0": {"start": "00000101000000Z"}, "version 67": {"version": 66}}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_what_no_calendar_and_no_standard_knows_is_refused(pki: Pki, strange: dict) -> None:
    encoded = having(pki.certificate("oct-seal"), **strange)
    with pytest.raises(Refused, match="CMS-030"):
        check_path(encoded, pki.chain, [pki.root], pki.lists, NOW, Use.SEAL)
    with pytest.raises(Refused, match="CMS-030"):
        load_certificates(encoded)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(encoded) + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(Refused, match="CMS-030"):
        check_path(load_certificates(pem)[0], pki.chain, [pki.root], pki.lists, NOW, Use.SEAL)


def test_the_lists_of_a_path_are_those_that_can_be_read(pki: Pki) -> None:
    path = check(pki, "oct-seal", Use.SEAL)
    theirs = [(pki.directory / "crl" / f"{name}.crl").read_bytes() for name in ("root", "oct")]
    place = theirs[0].index(b"OCT-GATEWAY")
    strange = theirs[0][:place] + b"\xff" + theirs[0][place + 1 :]
    assert load_lists(strange) == [strange], "it is read no further than it is asked"
    assert set(lists_of(path.certificates, [*pki.lists, strange, b"junk"])) == set(theirs)


def test_a_list_of_an_unknown_version_is_refused(pki: Pki) -> None:
    lists = (pki.directory / "crl" / "root.crl").read_bytes()
    with pytest.raises(Refused, match="CMS-039"):
        load_lists(lists.replace(der.integer(1), der.integer(17), 1))


def test_files_of_either_form_are_loaded(pki: Pki) -> None:
    pem = (pki.directory / "root.pem").read_bytes()
    assert load_certificates(pem * 2) == [pki.root] * 2
    assert load_certificates(pki.root) == [pki.root]
    der = (pki.directory / "crl" / "root.crl").read_bytes()
    assert load_lists(der) == [der] and der in pki.lists
    assert len(pki.lists) == len(list((pki.directory / "crl").glob("*.crl")))


BAD_FILES = [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]


@pytest.mark.parametrize("data", BAD_FILES)
def test_files_that_cannot_be_read_are_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="CMS-030"):
        load_certificates(data)
    with pytest.raises(Refused, match="CMS-041"):
        load_key(data)
    with pytest.raises(Refused, match="CMS-039"):
        load_lists(data)


def test_a_key_under_a_passphrase_needs_it(pki: Pki) -> None:
    key = pki.key("box-seal")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"mot de passe"))
    assert load_key(pem, b"mot de passe").public_key() == key.public_key()
    for password in (None, b"faux"):
        with pytest.raises(Refused, match="CMS-041"):
            load_key(pem, password)


# ---------------------------------------------------------------- as it stood


@pytest.mark.parametrize(
    ("leaf", "above"),
    [("practitioners/99900000011/sig", "chains/sante"), ("oct-sign", "chains/oct"), ("box-sign", "chains/boites")],
)
def test_a_line_goes_by_who_signed_whom(pki: Pki, leaf: str, above: str) -> None:
    now, zoo = datetime.now(UTC), pki.certificate("zoo/chains/sante-revoquee")
    expected = tuple(map(pki.certificate, (leaf, above, "root")))
    for known in itertools.permutations([pki.root, *pki.chain, zoo], 5):
        assert line_of(pki.certificate(leaf), known, now) == expected
    (ours, roots) = lists_of(expected, pki.lists)
    issuers = {x509.load_der_x509_crl(one).issuer for one in (ours, roots)}
    assert issuers == {x509.load_der_x509_certificate(one).subject for one in expected[1:]}


def test_a_line_ends_where_nobody_is_known_or_valid(pki: Pki) -> None:
    leaf, now = pki.certificate("oct-sign"), datetime.now(UTC)
    assert line_of(leaf, [], now) == (leaf,)
    assert line_of(leaf, [pki.root], now) == (leaf,)
    assert line_of(leaf, [pki.certificate("chains/oct")], now) == (leaf, pki.certificate("chains/oct"))
    assert line_of(leaf, [*pki.chain, pki.root], now + timedelta(days=20_000)) == (leaf,)
    assert line_of(pki.root, [pki.root], now) == (pki.root,)
