"""Forgeries of an evidence file: by who has no key, by who has a card, by a payer and by an authority without care."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms, pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from evidence_bench import (
    EvidenceBench,
    attributes_of,
    checked,
    content_of,
    grown,
    lay_out,
    lists_of,
    pem_of,
    rows_of,
    signed_by,
    x509_of,
)
from stage import DOCTOR

from gateway.envelope import algorithms, der, oids
from gateway.envelope.attributes import SigningContext, read_attributes, signed_attributes
from gateway.envelope.signed import Signature, detached, directly_signed, sign_with_key
from gateway.formats.returns import ReturnKind, pack
from gateway.journal.merkle import leaf_hash, node_hash

Files = dict[str, bytes]
Judge = Callable[..., str]

SIG, AUTH, SANTE = f"practitioners/{DOCTOR}/sig", f"practitioners/{DOCTOR}/auth", "chains/sante"
NOT_NAMED = "journal.json : chaque reçu, chaque ARL qu'il nomme est là, et nul autre"
LAST = "journal.json : dernière signature"
NOT_CLEARED = "signature : « 899900000011 » non révoqué"


def rows_json(rows: list[Any]) -> Files:
    return {"journal.json": json.dumps(rows).encode()}


# ---------------------------------------------------------------- without any key


def forged_way(row: dict[str, Any], size: int, path: list[str]) -> list[str]:
    """One step that is both children of the root: whoever hashes it with nothing comes to the root."""
    place, step = json.loads(row["text"])["seq"] - 1, bytes.fromhex(path[-1])
    made = leaf_hash(hashlib.sha256(bytes.fromhex(row["previous"]) + row["text"].encode()).digest())
    for one in path[:-1]:  # the row is in the left half, which is complete
        made = node_hash(bytes.fromhex(one), made) if place & 1 else node_hash(made, bytes.fromhex(one))
        place >>= 1
    assert place == 0 and size.bit_count() != 1
    return [(made + step).hex()]


def test_a_row_that_nobody_wrote_is_in_no_tree(judged: Judge, files: Files) -> None:
    """The children of a root are told by every way up to it."""
    head = json.loads(content_of(files["recu-1.cms"]).split(b"\n", 1)[1])["journal_head"]
    sizes = {"path": json.loads(content_of(files["journal.cms"]))["size"], "head": head["size"]}
    rows = rows_of(files)
    for whose in (0, 1):
        made: list[Any] = copy.deepcopy(rows)
        made[2]["text"] = str(rows[2]["text"]).replace("titulaire", "remplaçant")
        made[2] |= {name: forged_way(rows[whose], sizes[name], list(rows[whose][name])) for name in sizes}  # type: ignore[call-overload]
        assert judged(rows_json(made)).endswith(" sign")


def test_an_original_that_is_inside_is_not_taken_for_the_one_that_is_given(
    bench: EvidenceBench, judged: Judge, files: Files, tmp_path: Path
) -> None:
    """The signature as it is, its own content put in; the auditor holds something else."""
    whole = cms.ContentInfo.load(files["signature.cms"])
    whole["content"]["encap_content_info"]["content"] = bench.content("a.b2")
    (tmp_path / "other").write_bytes(b"quite another")
    assert judged({"signature.cms": whole.dump(force=True)}, tmp_path / "other") == "signature : contenus signés : 2"


def test_a_return_that_the_journal_names_is_opened_not_only_there(judged: Judge, files: Files) -> None:
    """A refusal under another name, or something else that its row names in its place."""
    gone: dict[str, bytes | None] = {"arl-1.cms": None, "arl-1.pem": None}
    assert judged({**gone, "annexe.cms": files["arl-1.cms"]}) == NOT_NAMED
    for certificate in x509_of(files["recu-1.pem"]):
        assert judged({**gone, "annexe": certificate}) == NOT_NAMED


def test_rows_stand_once_and_in_order(judged: Judge, files: Files) -> None:
    rows = rows_of(files)
    for made in ([*rows, rows[2]], rows[::-1], [rows[0], *rows]):
        assert judged(rows_json(made)).startswith("journal.json : 20")


def test_a_piece_is_what_its_name_says(judged: Judge, files: Files) -> None:
    """What the payer acknowledged is not to be read as what the OCT took."""
    names = {"recu-1": "arl-1", "arl-1": "recu-1"}
    assert (
        judged({f"{a}.{kind}": files[f"{b}.{kind}"] for a, b in names.items() for kind in ("cms", "pem")}) == NOT_NAMED
    )


SPOKEN = "x\r\x1b[2K\ntient         signature : tout"


def test_words_of_others_do_not_steer_the_terminal(bench: EvidenceBench, files: Files, tmp_path: Path) -> None:
    """Nobody has to have signed them: the name of a certificate, of a piece, the verb of a row."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SPOKEN)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, dt.datetime(2020, 1, 1), dt.datetime(2040, 1, 1))
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    leaf, _, root = x509_of(files["signature.pem"])
    rows: list[Any] = rows_of(files)
    rows[0]["text"] = json.dumps({**json.loads(rows[0]["text"]), "verb": SPOKEN, "at": "\ud800"})
    changes: tuple[Files, ...] = (
        {"signature.pem": pem_of(leaf, certificate, root)}, {f"arl-{SPOKEN}.cms": b"\x30\0"}, rows_json(rows)
    )  # fmt: skip
    for change in changes:
        done = checked(lay_out(tmp_path / "p", files | change), bench.root)
        assert done.returncode == 65 and done.stderr == ""
        assert "NE TIENT PAS" in done.stdout.split("\n")[-2]
        assert done.stdout.replace("\n", "").isprintable()


# ---------------------------------------------------------------- not as it is written


def test_somebody_beside_the_signer_is_refused(judged: Judge, files: Files) -> None:
    """Of two signers openssl wants both to hold; it is not for us to choose one."""
    for name in ("signature", "journal"):
        whole = files[f"{name}.cms"]
        signers = cms.ContentInfo.load(whole)["content"]["signer_infos"]
        two = der.tlv(der.SET, signers[0].dump(), files["recu-1.cms"])
        assert judged({f"{name}.cms": grown(whole, signers.dump(), two)}) == f"{name} : complet et lisible"


def test_what_stands_beside_a_signature_unsigned_is_not_looked_at(
    bench: EvidenceBench, files: Files, tmp_path: Path
) -> None:
    """As a time stamp of it does."""
    whole = files["signature.cms"]
    signature = cms.ContentInfo.load(whole)["content"]["signer_infos"][0]["signature"].dump()
    beside = der.tlv(der.context(1), der.sequence(der.oid("1.2.3.4"), der.set_of([der.octets(b"x")])))
    made = {"signature.cms": grown(whole, signature, signature + beside)}
    assert checked(lay_out(tmp_path / "p", files | made), bench.root).returncode == 0


# ---------------------------------------------------------------- by who has a card


Attributes = Callable[[bytes], bytes]
Context = Callable[[SigningContext], SigningContext]


@pytest.fixture
def signs(bench: EvidenceBench, files: Files) -> Callable[..., Files]:
    """The practitioner signs attributes of his own making."""
    old = read_attributes(b"\x31" + attributes_of(files["signature.cms"])[1:])
    certificate, key = bench.pki.certificate(SIG), bench.pki.key(SIG)

    def sign(context: Context = lambda one: one, change: Attributes = lambda one: one) -> Files:
        assert old.context is not None
        attributes = change(signed_attributes(old.digest, old.at, certificate, context(old.context)))
        value = algorithms.sign("rsa-pkcs1-sha256", key, attributes)
        made = Signature(attributes, value, certificate, "rsa-pkcs1-sha256")
        return {"signature.cms": detached(made, [bench.pki.certificate(SANTE)])}

    return sign


CONTEXTS: dict[str, tuple[Context, str]] = {
    "an empty challenge": (lambda one: replace(one, challenge=b""), "carte du même titulaire"),
    "half a challenge": (lambda one: replace(one, challenge=one.challenge[:16]), "carte du même titulaire"),
    "more than a challenge": (lambda one: replace(one, challenge=one.challenge + b"\0"), "carte du même titulaire"),
    "another fichier": (lambda one: replace(one, fichier="f" * 32), "dit « positive » de ce fichier"),
}


@pytest.mark.parametrize(("context", "what"), CONTEXTS.values(), ids=CONTEXTS)
def test_a_context_of_another_presence_or_fichier_is_none(judged: Judge, signs: Any, context: Any, what: str) -> None:
    assert judged(signs(context)).endswith(what)


def doubled(attributes: bytes) -> bytes:
    """A second messageDigest, which names another content."""
    digest = der.octets(read_attributes(attributes).digest)
    row = next(one for one in der.read_set_of(attributes) if digest in one)
    return der.set_of([*der.read_set_of(attributes), row.replace(digest, der.octets(bytes(32)))])


def of_two_values(attributes: bytes) -> bytes:
    digest = der.octets(read_attributes(attributes).digest)
    return grown(attributes, digest, digest + der.octets(bytes(32)))


TWICE: dict[str, Attributes] = {
    "a digest twice": doubled,
    "a digest of two values": of_two_values,
    "another content type": lambda one: grown(one, der.oid(oids.DATA), der.oid(oids.ENVELOPED_DATA)),
}


def test_the_practitioner_signs_as_the_card_does(
    bench: EvidenceBench, files: Files, signs: Any, tmp_path: Path
) -> None:
    assert checked(lay_out(tmp_path / "p", files | signs()), bench.root).returncode == 0


def test_what_is_signed_later_is_not_what_the_journal_tells_of(judged: Judge, files: Files, signs: Any) -> None:
    """The same card, the same context, a time of old: another content, and nothing that the OCT said of the first."""
    rows = [row for row in rows_of(files) if '"piece"' not in str(row["text"])]
    gone = {f"{name}.{kind}": None for name in ("recu-1", "arl-1") for kind in ("cms", "pem")}
    old = der.octets(read_attributes(b"\x31" + attributes_of(files["signature.cms"])[1:]).digest)
    made = signs(change=lambda one: grown(one, old, der.octets(hashlib.sha256(b"other").digest())))
    assert judged({**made, **gone, **rows_json(rows)}) == LAST


@pytest.mark.parametrize("change", TWICE.values(), ids=TWICE)
def test_attributes_that_mean_two_things_prove_none(judged: Judge, signs: Any, change: Attributes) -> None:
    assert judged(signs(change=change)).endswith("attributs signés, chacun une fois")


def test_the_key_that_signs_does_not_prove_presence(bench: EvidenceBench, judged: Judge, files: Files) -> None:
    """What one key is made to sign must not be taken for the other's answer."""
    message, certificate = content_of(files["presence.cms"]), bench.pki.certificate(SIG)
    value = algorithms.sign("rsa-pkcs1-sha256", bench.pki.key(SIG), message)
    made = directly_signed(
        message, Signature(b"", value, certificate, "rsa-pkcs1-sha256"), [bench.pki.certificate(SANTE)]
    )
    what = judged({"presence.cms": made, "presence.pem": files["signature.pem"]})
    assert what == "presence : « 899900000011 » fait pour « présence »"


# ---------------------------------------------------------------- what the OCT relays, and the box's other chain


@pytest.mark.parametrize("kind", ["opaque", "rsp", "keys", "arl", "receipt"])
def test_a_body_that_looks_like_a_receipt_is_none(
    bench: EvidenceBench, judged: Judge, files: Files, kind: ReturnKind
) -> None:
    """The OCT signs what payers write, too, byte for byte; and an ARL may be that of another box's fichier."""
    told = json.loads(content_of(files["recu-1.cms"]).split(b"\n", 1)[1])
    body = json.dumps({name: told[name] for name in ("fichier", "digest", "verdict")}).encode()
    content = pack(kind, "x", told["fichier"], told["received_at"], body)
    made = signed_by(bench, files["recu-1.cms"], content, "oct-sign", "chains/oct")
    assert judged({"recu-2.cms": made, "recu-2.pem": files["recu-1.pem"]}) == NOT_NAMED


@pytest.mark.parametrize("digest", ["00" * 32, None])
def test_a_receipt_for_another_content_is_none_of_this_one(
    bench: EvidenceBench, judged: Judge, files: Files, digest: str | None
) -> None:
    header, body = content_of(files["recu-1.cms"]).split(b"\n", 1)
    content = header + b"\n" + json.dumps(json.loads(body) | {"digest": digest}).encode()
    made = signed_by(bench, files["recu-1.cms"], content, "oct-sign", "chains/oct")
    assert judged({"recu-1.cms": made}) == "recu-1 : dit « integrated » de ce fichier"


def test_a_checkpoint_of_the_other_chain_covers_no_row(bench: EvidenceBench, judged: Judge, files: Files) -> None:
    point = json.loads(content_of(files["journal.cms"])) | {"chain": "access"}
    made = signed_by(bench, files["journal.cms"], json.dumps(point).encode(), "box-sign", "chains/boites")
    assert judged({"journal.cms": made}).startswith("journal.json : 20")


# ---------------------------------------------------------------- lists


def lists_with(bench: EvidenceBench, files: Files, *made: bytes) -> Files:
    """The lists of an evidence, but those of the practitioners' authority are ``made`` (PEM)."""
    others = [one for one in lists_of(files["listes.pem"]) if not bench.is_of(one, SANTE)]
    return {"listes.pem": b"".join((*(one.public_bytes(Encoding.PEM) for one in others), *made))}


def list_of(
    bench: EvidenceBench, since: int, until: int, *serials: int, extension: x509.ExtensionType | None = None
) -> bytes:
    """A list (PEM) of the practitioners' authority, ``since`` and ``until`` in days from now."""
    now, day = bench.keeper.now, dt.timedelta(days=1)
    issuer, key = x509.load_der_x509_certificate(bench.pki.certificate(SANTE)).subject, bench.pki.key("ca/sante")
    builder = x509.CertificateRevocationListBuilder(issuer, now + since * day, now + until * day)
    for serial in (*serials, 4242):
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, now).build())
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    builder = builder.add_extension(x509.CRLNumber(99), critical=False)
    key_: Any = key
    return builder.sign(key_, hashes.SHA256()).public_bytes(Encoding.PEM)


AUTHORITIES_ONLY = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")


@pytest.mark.parametrize(("since", "until"), [(-1, 9), (0, 9), (-1, 0)])
def test_a_list_of_then_clears(bench: EvidenceBench, files: Files, tmp_path: Path, since: int, until: int) -> None:
    """A later one that names the card does not undo what it signed before."""
    serial = x509.load_der_x509_certificate(bench.pki.certificate(SIG)).serial_number
    lists = lists_with(bench, files, list_of(bench, since, until), list_of(bench, 1, 9, serial))
    assert checked(lay_out(tmp_path / "p", files | lists), bench.root).returncode == 0


def test_a_list_that_is_not_of_then_or_not_whole_clears_nobody(
    bench: EvidenceBench, judged: Judge, files: Files
) -> None:
    """An expired card stands on no list any more: one of a year later says nothing of it."""
    serial = x509.load_der_x509_certificate(bench.pki.certificate(SIG)).serial_number
    for made in (
        [list_of(bench, 365, 400)],
        [list_of(bench, -9, -1)],
        [list_of(bench, -2, 9), list_of(bench, -1, 9, serial)],
        [list_of(bench, -1, 9, serial), list_of(bench, -2, 9)],
        [list_of(bench, -1, 9, extension=AUTHORITIES_ONLY)],
        [list_of(bench, -1, 9, extension=UNKNOWN)],
        [changed_list(bench, der.time(bench.keeper.now + dt.timedelta(days=9)), LONG_AGO)],
        [changed_list(bench, der.utf8(AUTHORITY), der.utf8("another"))],
    ):
        assert judged(lists_with(bench, files, *made)) == NOT_CLEARED


AUTHORITY = "OCT-GATEWAY TEST AC Professionnels"
LONG_AGO = der.tlv(0x18, b"20200101000000Z")
"""A GeneralizedTime, though before 2050: an authority writes it against RFC 5280, and openssl reads it."""


def signed_by_authority(bench: EvidenceBench, body: bytes) -> bytes:
    """A certificate or list of the practitioners' authority with this body, as pyca would not write it."""
    key: Any = bench.pki.key("ca/sante")
    value = key.sign(body, padding.PKCS1v15(), hashes.SHA256())
    kind = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.tlv(der.NULL))
    return der.sequence(body, kind, der.tlv(der.BIT_STRING, b"\0" + value))


def changed_list(bench: EvidenceBench, part: bytes, other: bytes) -> bytes:
    """A good list (PEM) but for one part."""
    body = x509.load_pem_x509_crl(list_of(bench, -1, 9)).tbs_certlist_bytes
    assert part in body
    return pem.armor("X509 CRL", signed_by_authority(bench, grown(body, part, other)))


# ---------------------------------------------------------------- certificates of a careless authority


def changed_certificate(bench: EvidenceBench, name: str, part: bytes, other: bytes) -> bytes:
    """A good certificate but for one part."""
    body = x509.load_der_x509_certificate(bench.pki.certificate(name)).tbs_certificate_bytes
    assert part in body
    return signed_by_authority(bench, grown(body, part, other))


def by_card(bench: EvidenceBench, files: Files, certificate: bytes) -> Files:
    """The signature under another certificate for its key."""
    old = read_attributes(b"\x31" + attributes_of(files["signature.cms"])[1:])
    made = sign_with_key(old.digest, old.at, certificate, bench.pki.key(SIG), old.context, pkcs1=True)
    _, *above = x509_of(files["signature.pem"])
    return {"signature.cms": detached(made, above[:1]), "signature.pem": pem_of(certificate, *above)}


def present(bench: EvidenceBench, files: Files, certificate: bytes) -> Files:
    """The card's answer under another certificate for its key."""
    message, (_, *above) = content_of(files["presence.cms"]), x509_of(files["presence.pem"])
    value = algorithms.sign("rsa-pkcs1-sha256", bench.pki.key(AUTH), message)
    made = directly_signed(message, Signature(b"", value, certificate, "rsa-pkcs1-sha256"), above[:1])
    return {"presence.cms": made, "presence.pem": pem_of(certificate, *above)}


def card_of(
    bench: EvidenceBench,
    names: list[tuple[x509.ObjectIdentifier, str]],
    *more: x509.ExtensionType,
) -> bytes:
    """Another certificate of the card's signing key, with other names or critical extensions more."""
    old = x509.load_der_x509_certificate(bench.pki.certificate(SIG))
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in names]) if names else old.subject
    builder = x509.CertificateBuilder(
        old.issuer, subject, old.public_key(), x509.random_serial_number(),
        old.not_valid_before_utc, old.not_valid_after_utc,
    )  # fmt: skip
    for one in old.extensions:
        builder = builder.add_extension(one.value, one.critical)
    for value in more:
        builder = builder.add_extension(value, critical=True)
    key: Any = bench.pki.key("ca/sante")
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


HOLDER = "899900000011"
CARDS: dict[str, tuple[list[tuple[x509.ObjectIdentifier, str]], list[x509.ExtensionType], str]] = {
    "a name inside another": (
        [(NameOID.ORGANIZATION_NAME, f"\6\3\x55\4\3\x0c\x0c{HOLDER}"), (NameOID.COMMON_NAME, "another")],
        [], "presence : carte du même titulaire",
    ),
    "two names": (
        [(NameOID.COMMON_NAME, HOLDER), (NameOID.COMMON_NAME, "another")], [], "presence : carte du même titulaire"
    ),
    "a demand that nobody here knows": ([], [UNKNOWN], f"signature : « {HOLDER} » fait pour « signer »"),
}  # fmt: skip


@pytest.mark.parametrize(("names", "more", "what"), CARDS.values(), ids=CARDS)
def test_a_certificate_is_read_as_others_read_it(
    bench: EvidenceBench, judged: Judge, files: Files, names: Any, more: Any, what: str
) -> None:
    assert judged(by_card(bench, files, card_of(bench, names, *more))) == what


COMMON, ORGANISATION = "2.5.4.3", "2.5.4.10"
STRANGERS = {
    "without a name": (der.oid(ORGANISATION), der.utf8("un cabinet 1"), der.utf8("un cabinet 2")),
    "of an old alphabet": (der.oid(COMMON), der.tlv(0x14, b"MARIE-REN\xe9E."), der.tlv(0x14, b"MARIE-REN\xe8E.")),
}


@pytest.mark.parametrize(("kind", "one", "another"), STRANGERS.values(), ids=STRANGERS)
def test_two_strangers_are_not_one_holder(
    bench: EvidenceBench, judged: Judge, files: Files, kind: bytes, one: bytes, another: bytes
) -> None:
    name = der.sequence(der.oid(COMMON), der.utf8(HOLDER))
    mine, his = (
        changed_certificate(bench, card, name, der.sequence(kind, value))
        for card, value in ((SIG, one), (AUTH, another))
    )
    changes = by_card(bench, files, mine) | present(bench, files, his)
    assert judged(changes) == "presence : carte du même titulaire"


def ends(bench: EvidenceBench) -> tuple[bytes, bytes]:
    """From when and until when the card's certificate is valid, as it is written."""
    found = x509.load_der_x509_certificate(bench.pki.certificate(SIG))
    return der.time(found.not_valid_before_utc), der.time(found.not_valid_after_utc)


ENDS: dict[str, tuple[int, Callable[[dt.datetime], bytes], str]] = {
    "from then": (0, der.time, LAST),
    "until then": (1, der.time, LAST),
    "after 2049": (1, lambda now: der.time(now.replace(year=2051)), LAST),
    "long ago": (1, lambda now: LONG_AGO, f"signature : « {HOLDER} » valable alors"),
}


@pytest.mark.parametrize(("which", "end", "what"), ENDS.values(), ids=ENDS)
def test_dates_are_compared_as_dates(
    bench: EvidenceBench, judged: Judge, files: Files, which: int, end: Any, what: str
) -> None:
    """The journal knows the certificate by its digest: it misses the one that was changed, if nothing else does."""
    made = changed_certificate(bench, SIG, ends(bench)[which], end(bench.keeper.now))
    assert judged(by_card(bench, files, made)) == what


def test_a_certificate_is_of_the_authority_that_it_names(bench: EvidenceBench, judged: Judge, files: Files) -> None:
    made = changed_certificate(bench, SIG, der.utf8(AUTHORITY), der.utf8("another"))
    assert judged(by_card(bench, files, made)) == f"signature : « {HOLDER} » émis par « {AUTHORITY} »"


# ---------------------------------------------------------------- weak keys and odd signatures


def rsa_key(modulus: int, exponent: int) -> bytes:
    """A SubjectPublicKeyInfo that pyca would not write."""
    inner = der.sequence(der.integer(modulus), der.integer(exponent))
    kind = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.tlv(der.NULL))
    return der.sequence(kind, der.tlv(der.BIT_STRING, b"\0" + inner))


def made_by(key: rsa.RSAPrivateKey, message: bytes = b"m") -> bytes:
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def test_an_rsa_key_that_everybody_can_use_signs_nothing(signed: Callable[[bytes, bytes, bytes], bool]) -> None:
    key = rsa.generate_private_key(65537, 2048)
    modulus = key.public_key().public_numbers().n
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"m").digest()
    assert not signed(rsa_key(modulus, 1), b"m", b"\0\1" + b"\xff" * 202 + b"\0" + info), "e = 1"
    assert not signed(rsa_key(-modulus, 65537), b"m", made_by(key)), "a negative modulus"
    small = rsa.generate_private_key(65537, 1024)
    assert not signed(rsa_key(small.public_key().public_numbers().n, 65537), b"m", made_by(small)), "too short"


def test_a_signature_has_one_writing(signed: Callable[[bytes, bytes, bytes], bool]) -> None:
    """Longer, or larger than the modulus: openssl refuses them too."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    modulus, message = key.public_key().public_numbers().n, 0
    while (value := int.from_bytes(made_by(key, b"%d" % message)) + modulus) >= 1 << 2048:
        message += 1
    made = made_by(key, b"%d" % message)
    assert signed(public, b"%d" % message, made) and not signed(public, b"%d" % message, b"\0" + made)
    assert not signed(public, b"%d" % message, value.to_bytes(256))
