"""The signed attributes: one way to write them, no tolerance in reading them."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime

import pytest
from asn1crypto import cms
from hypothesis import given
from hypothesis import strategies as st

from gateway.envelope import der, oids
from gateway.envelope.attributes import SigningContext, read_attributes, signed_attributes
from gateway.errors import Refused

DIGEST = hashlib.sha256(b"contenu").digest()
AT = datetime(2026, 11, 23, 6, 45, 12, tzinfo=UTC)
CERTIFICATE = b"any bytes: only their SHA-256 is used"
CONTEXT = SigningContext(1, "f-000123", 41, 231840, "this-batch", "oct", bytes(range(32)))

contexts = st.builds(
    SigningContext,
    st.just(1),
    st.text(min_size=1, max_size=32),
    st.integers(0, 10**9),
    st.integers(-(10**12), 10**12),
    st.text(min_size=1, max_size=16),
    st.sampled_from(["oct", "local"]),
    st.binary(max_size=64),
)


@given(st.binary(min_size=32, max_size=32), st.none() | contexts)
def test_what_is_written_reads_back(digest: bytes, context: SigningContext | None) -> None:
    read = read_attributes(signed_attributes(digest, AT, CERTIFICATE, context))
    assert (read.digest, read.at, read.context) == (digest, AT, context)
    assert read.certificate_hash == hashlib.sha256(CERTIFICATE).digest()


def test_another_reader_sees_the_same_attributes() -> None:
    read = cms.CMSAttributes.load(signed_attributes(DIGEST, AT, CERTIFICATE, CONTEXT), strict=True)
    values = {attribute["type"].dotted: attribute["values"] for attribute in read}
    assert values.keys() == {
        oids.CONTENT_TYPE,
        oids.MESSAGE_DIGEST,
        oids.SIGNING_TIME,
        oids.SIGNING_CERTIFICATE_V2,
        oids.COMMITMENT_TYPE,
        oids.SIGNING_CONTEXT,
    }
    assert values[oids.CONTENT_TYPE][0].native == "data"
    assert values[oids.MESSAGE_DIGEST][0].native == DIGEST
    assert values[oids.SIGNING_TIME][0].native == AT


def test_the_private_attribute_is_under_our_own_arc() -> None:
    assert oids.SIGNING_CONTEXT.startswith("2.25.") and oids.SIGNING_CONTEXT.startswith(oids.ARC)


BOUNDS = {
    "version": {"version": 2},
    "empty fichier": {"fichier": ""},
    "long fichier": {"fichier": "é" * 65},
    "empty policy": {"policy": ""},
    "long policy": {"policy": "p" * 65},
    "long challenge": {"challenge": bytes(65)},
    "negative count": {"count": -1},
}


@pytest.mark.parametrize("change", BOUNDS.values(), ids=BOUNDS)
def test_a_context_out_of_bounds_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        signed_attributes(DIGEST, AT, CERTIFICATE, dataclasses.replace(CONTEXT, **change))  # type: ignore[arg-type]


def test_a_short_digest_or_a_naive_time_is_not_written() -> None:
    for digest, at in ((DIGEST[1:], AT), (DIGEST, AT.replace(tzinfo=None))):
        with pytest.raises(ValueError, match="aware"):
            signed_attributes(digest, at, CERTIFICATE, None)


def attribute(kind: str, *values: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(values))


def context_value(**change: bytes) -> bytes:
    parts = {
        "version": der.integer(1),
        "fichier": der.utf8("f"),
        "count": der.integer(1),
        "total": der.integer(1),
        "policy": der.utf8("each"),
        "origin": der.integer(0, der.ENUMERATED),
        "challenge": der.octets(b""),
    }
    return der.sequence(*{**parts, **change}.values())


SOUND = {
    oids.CONTENT_TYPE: attribute(oids.CONTENT_TYPE, der.oid(oids.DATA)),
    oids.MESSAGE_DIGEST: attribute(oids.MESSAGE_DIGEST, der.octets(DIGEST)),
    oids.SIGNING_TIME: attribute(oids.SIGNING_TIME, der.time(AT)),
    oids.SIGNING_CERTIFICATE_V2: attribute(
        oids.SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(der.sequence(der.octets(DIGEST))))
    ),
    oids.SIGNING_CONTEXT: attribute(oids.SIGNING_CONTEXT, context_value()),
}
SHA512 = der.sequence(der.oid("2.16.840.1.101.3.4.2.3"))
WRONG = {
    "no contentType": {oids.CONTENT_TYPE: None},
    "no messageDigest": {oids.MESSAGE_DIGEST: None},
    "no signingTime": {oids.SIGNING_TIME: None},
    "no signingCertificateV2": {oids.SIGNING_CERTIFICATE_V2: None},
    "other content type": {oids.CONTENT_TYPE: attribute(oids.CONTENT_TYPE, der.oid(oids.SIGNED_DATA))},
    "digest too short": {oids.MESSAGE_DIGEST: attribute(oids.MESSAGE_DIGEST, der.octets(DIGEST[:20]))},
    "two digests": {oids.MESSAGE_DIGEST: attribute(oids.MESSAGE_DIGEST, der.octets(DIGEST), der.octets(bytes(32)))},
    "no value": {oids.MESSAGE_DIGEST: attribute(oids.MESSAGE_DIGEST)},
    "attribute twice": {"again": attribute(oids.MESSAGE_DIGEST, der.octets(bytes(32)))},
    "certificate by SHA-512": {
        oids.SIGNING_CERTIFICATE_V2: attribute(
            oids.SIGNING_CERTIFICATE_V2, der.sequence(der.sequence(der.sequence(SHA512, der.octets(bytes(64)))))
        )
    },
    "context of version 2": {
        oids.SIGNING_CONTEXT: attribute(oids.SIGNING_CONTEXT, context_value(version=der.integer(2)))
    },
    "context of origin 2": {
        oids.SIGNING_CONTEXT: attribute(oids.SIGNING_CONTEXT, context_value(origin=der.integer(2, der.ENUMERATED)))
    },
    "context of count -1": {
        oids.SIGNING_CONTEXT: attribute(oids.SIGNING_CONTEXT, context_value(count=der.integer(-1)))
    },
    "context with more": {oids.SIGNING_CONTEXT: attribute(oids.SIGNING_CONTEXT, context_value(more=der.integer(0)))},
}


def test_the_sound_set_of_the_table_is_sound() -> None:
    assert read_attributes(der.set_of(SOUND.values())).context is not None


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_attributes_are_refused(change: dict[str, bytes | None]) -> None:
    attributes = [value for value in {**SOUND, **change}.values() if value is not None]
    with pytest.raises(Refused, match=r"CMS-0(12|06)"):
        read_attributes(der.set_of(attributes))


def test_attributes_out_of_order_are_refused() -> None:
    backwards = sorted(SOUND.values(), reverse=True)
    with pytest.raises(Refused, match="CMS-003"):
        read_attributes(der.tlv(der.SET, *backwards))


def test_attributes_of_others_are_let_through() -> None:
    capabilities = attribute("1.2.840.113549.1.9.15", der.sequence())
    assert read_attributes(der.set_of([*SOUND.values(), capabilities])).digest == DIGEST
