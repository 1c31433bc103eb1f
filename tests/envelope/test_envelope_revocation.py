"""Revocation: listed is refused, everything that cannot tell waits."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import line_certificates
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from path_judges import Question, gateway

from gateway.envelope import revocation
from gateway.envelope.certificates import Path, Use, check_path
from gateway.envelope.revocation import CLOCK_SKEW, GRACE, authority_of, check_revocation, known_lists, unsound
from gateway.errors import Deferred, Refused, Scope, Trouble

NOW = datetime.now(UTC).replace(microsecond=0)
LEAF = "practitioners/99900000011/sig"
DAY = timedelta(days=1)


def check(pki: Pki, lists: list[bytes], name: str = LEAF) -> Path:
    return check_path(pki.certificate(name), pki.chain, [pki.root], lists, NOW, Use.SIGN_FICHIER)


def root_list(pki: Pki) -> bytes:
    return (pki.directory / "crl" / "root.crl").read_bytes()


def make_list(
    pki: Pki,
    *extensions: tuple[x509.ExtensionType, bool],
    key: str = "ca/sante",
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    revoked: bool = False,
    number: int | None = 7,
) -> bytes:
    """A list in the name of the practitioners' authority."""
    issuer = x509.load_der_x509_certificate(pki.certificate("chains/sante")).subject
    builder = x509.CertificateRevocationListBuilder(issuer, start, end)
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    if revoked:
        serial = x509.load_der_x509_certificate(pki.certificate(LEAF)).serial_number
        later = NOW + 300 * DAY  # whatever the date of the entry
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, later).build())
    return builder.sign(pki.key(key), hashes.SHA256()).public_bytes(Encoding.DER)


def partial(indirect: bool) -> x509.IssuingDistributionPoint:
    url = [x509.UniformResourceIdentifier("http://crl.invalid/")]
    return x509.IssuingDistributionPoint(url, None, not indirect, False, None, indirect, False)


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
UNUSABLE = {
    "delta": (([(x509.DeltaCRLIndicator(1), True)], {}), "CMS-039"),
    "partial": (([(partial(False), True)], {}), "CMS-039"),
    "indirect": (([(partial(True), True)], {}), "CMS-039"),
    "unknown critical extension": (([(UNKNOWN, True)], {}), "CMS-039"),
    "signed by another": (([], {"key": "ca/boites"}), "CMS-039"),
    "without number": (([], {"number": None}), "CMS-039"),
    "number critical": (([(x509.CRLNumber(9), True)], {"number": None}), "CMS-039"),
    "beyond the grace": (([], {"start": NOW - 9 * DAY, "end": NOW - GRACE - DAY}), "CMS-038"),
    "from the future": (([], {"start": NOW + CLOCK_SKEW + DAY, "end": NOW + 2 * DAY}), "CMS-033"),
}


@pytest.mark.parametrize(("arguments", "code"), UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("revoked", [False, True])
def test_a_list_that_cannot_tell_makes_wait(pki: Pki, arguments: tuple, code: str, revoked: bool) -> None:
    extensions, options = arguments
    found = make_list(pki, *extensions, **options, revoked=revoked)
    with pytest.raises(Deferred) as deferred:
        check(pki, [root_list(pki), found])
    assert deferred.value.code == code
    assert deferred.value.scope == (Scope.BOX if code == "CMS-033" else Scope.CARD)


@pytest.mark.parametrize(("arguments", "code"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_list_does_not_hide_a_usable_one(pki: Pki, arguments: tuple, code: str) -> None:
    extensions, options = arguments
    found = make_list(pki, *extensions, **options)
    assert check(pki, [root_list(pki), found, make_list(pki)])
    with pytest.raises(Refused, match="CMS-036"):
        check(pki, [root_list(pki), found, make_list(pki, revoked=True)])


USABLE = {
    "fresh": ([], {}),
    "within the grace": ([], {"start": NOW - 9 * DAY, "end": NOW - GRACE}),
    "within the skew": ([], {"start": NOW + CLOCK_SKEW}),
    "unknown extension": ([(UNKNOWN, False)], {}),
}


@pytest.mark.parametrize(("extensions", "options"), USABLE.values(), ids=USABLE)
def test_a_sound_list_decides(pki: Pki, extensions: list, options: dict) -> None:
    assert check(pki, [root_list(pki), make_list(pki, *extensions, **options)])
    with pytest.raises(Refused, match="CMS-036"):
        check(pki, [root_list(pki), make_list(pki, *extensions, **options, revoked=True)])


def test_the_freshest_list_decides(pki: Pki) -> None:
    old = make_list(pki, start=NOW - 2 * DAY)
    with pytest.raises(Refused, match="CMS-036"):
        check(pki, [root_list(pki), old, make_list(pki, revoked=True)])


@pytest.mark.parametrize("revoked", [False, True])
def test_a_list_that_ended_gives_way_to_no_older_one(pki: Pki, revoked: bool) -> None:
    """However long the older one was made for: it does not know what the newer one may have said."""
    older = make_list(pki, end=NOW + 300 * DAY, number=6)
    ended = make_list(pki, start=NOW - 9 * DAY, end=NOW - GRACE - DAY, revoked=revoked)
    with pytest.raises(Deferred, match="CMS-038"):
        check(pki, [root_list(pki), older, ended])


def test_every_level_below_the_root_needs_a_list(pki: Pki) -> None:
    for lists in ([], [root_list(pki)], [make_list(pki)], [b"junk"]):
        with pytest.raises(Deferred, match="CMS-037"):
            check(pki, lists)


def test_an_authority_that_is_revoked_is_refused_though_its_own_list_is_missing(pki: Pki) -> None:
    """Whoever has its key would keep the list back."""
    naming = line_certificates.make_list(pki, "root", NOW, revoked=[pki.certificate("chains/sante")])
    for lists in ([naming], [naming, make_list(pki)], [naming, make_list(pki, end=NOW - GRACE - DAY)]):
        with pytest.raises(Refused, match="CMS-036"):
            check(pki, lists)


def test_the_stale_lists_of_the_zoo_make_wait(pki: Pki) -> None:
    stale = [path.read_bytes() for path in (pki.directory / "zoo" / "crl").iterdir()]
    with pytest.raises(Deferred, match="CMS-038"):
        check(pki, stale)
    assert check(pki, [*stale, *pki.lists])


def test_every_flipped_byte_of_a_list_makes_wait(pki: Pki) -> None:
    sound = make_list(pki, revoked=True)
    for position, mask in itertools.product(range(len(sound)), (0x01, 0x0F)):
        touched = bytearray(sound)
        touched[position] ^= mask
        with pytest.raises(Trouble) as trouble:
            check(pki, [root_list(pki), bytes(touched)])
        # pyca lets the count of unused bits of the signature differ: then the list says what it said
        assert isinstance(trouble.value, Deferred) or trouble.value.code == "CMS-036"


# -- numbers, and lists that are worth keeping


def authority(pki: Pki, name: str = "chains/sante") -> str:
    return authority_of(x509.load_der_x509_certificate(pki.certificate(name)))


@pytest.mark.parametrize(("last", "sound"), [(0, True), (6, True), (7, True), (8, False)])
def test_the_number_of_an_authority_only_grows(pki: Pki, last: int, sound: bool) -> None:
    path = [x509.load_der_x509_certificate(pki.certificate(one)) for one in (LEAF, "chains/sante", "root")]
    lists, seen = [root_list(pki), make_list(pki)], {authority(pki): last, authority(pki, "chains/oct"): 99}
    if sound:
        assert check_revocation(path, lists, NOW, Scope.CARD, seen)
        return
    with pytest.raises(Deferred, match=r"n° 7.*n° 8") as deferred:
        check_revocation(path, lists, NOW, Scope.CARD, seen)
    assert deferred.value.code == "CMS-039"


def test_the_highest_number_decides_whatever_the_dates(pki: Pki) -> None:
    older = make_list(pki, start=NOW, number=6, revoked=True)
    assert check(pki, [root_list(pki), older, make_list(pki)])
    with pytest.raises(Refused, match="CMS-036"):
        check(pki, [root_list(pki), make_list(pki, start=NOW), make_list(pki, number=8, revoked=True)])


WORDS = {
    "list-without-number": "n'a pas de numéro",
    "list-without-end": "jusqu'à quand",
    "list-digest-sha1": "algorithme",
    "list-signer-without-crlsign": "ne peut pas en signer",
    "list-signature-broken": "signature fausse",
    "list-delta": "complément",
    "list-indirect": "partielle",
    "list-other-point": "autre point de distribution",
    "list-unknown-critical": "extension critique inconnue (2.25.1)",
    "list-entry-unknown-critical": "entrée à l'extension critique inconnue (2.25.1)",
    "list-entry-removed": "n'a pas de sens dans une liste complète",
    "list-older-than-seen": "plus ancienne (n° 7) que la dernière vue (n° 8)",
}


@pytest.mark.parametrize(("name", "words"), WORDS.items(), ids=WORDS)
def test_the_fault_of_a_list_is_said_by_name(zoo_questions: dict[str, Question], name: str, words: str) -> None:
    assert words in gateway(zoo_questions[name])


def test_a_list_is_told_from_that_of_another_key_under_the_same_name(pki: Pki) -> None:
    """A list that names another key is nobody's here; one that names none is judged by its signature."""
    other = x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.key("ca/oct").public_key())
    with pytest.raises(Deferred, match="CMS-037"):
        check(pki, [root_list(pki), make_list(pki, (other, False), key="ca/oct", number=99)])
    assert check(pki, [root_list(pki), make_list(pki, (other, False), key="ca/oct", number=99), make_list(pki)])


def test_a_list_is_walked_once_whoever_asks_and_however_often(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of half a million entries takes a second each time."""
    walked: list[object] = []
    monkeypatch.setattr(revocation, "unsound", lambda found, issuer: walked.append(found) or unsound(found, issuer))
    lists = [make_list(pki, number=11), root_list(pki)]
    for _ in range(3):
        check(pki, [bytes(bytearray(one)) for one in lists])  # read anew each time
    assert len(walked) <= 2
    with pytest.raises(Deferred, match="CMS-039"):
        check(pki, [make_list(pki, key="ca/boites", number=11), root_list(pki)])


def test_what_was_found_for_one_authority_is_not_said_of_another_of_its_name(pki: Pki) -> None:
    """Two keys may serve under one name: a list is sound under its own alone."""
    leaf, sante, root = map(
        x509.load_der_x509_certificate, (pki.certificate(LEAF), pki.certificate("chains/sante"), pki.root)
    )
    other = (
        x509.CertificateBuilder(sante.issuer, sante.subject, pki.key("ca/boites").public_key(), 7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(sante.extensions.get_extension_for_class(x509.KeyUsage).value, critical=True)
        .sign(pki.key("ca/root"), hashes.SHA384())
    )
    lists = [make_list(pki), root_list(pki)]
    check_revocation([leaf, sante, root], lists, NOW, Scope.CARD)
    with pytest.raises(Deferred, match="CMS-039"):
        check_revocation([leaf, other, root], lists, NOW, Scope.CARD)


def test_what_was_read_for_one_question_is_not_read_for_the_next(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor looked through, nor its signature checked; and of lists that are no more nothing is held."""
    lists = [root_list(pki), make_list(pki)]
    check(pki, lists)
    assert set(known_lists([*lists, b"junk", lists[0]])) == set(lists)
    for work in ("load_list", "unsound"):
        monkeypatch.setattr(revocation, work, lambda *_: pytest.fail("done again"))
    monkeypatch.setattr(revocation.Known, "__init__", lambda *_: pytest.fail("made again"))
    check(pki, [bytes(bytearray(one)) for one in lists])
    monkeypatch.undo()
    with pytest.raises(Refused, match="révoqué"):
        check(pki, [lists[0], make_list(pki, revoked=True, number=8)])
    assert lists[1] not in revocation._last and len(revocation._last) == 2
