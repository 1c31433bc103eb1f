"""The seal: OpenSSL agrees both ways, and no byte of a touched envelope is ever released."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest
from asn1crypto import cms
from development_pki import Pki

from gateway.envelope import der, oids
from gateway.envelope.recipients import recipient_info
from gateway.envelope.seal import BLOCK, Opened, Sealer, open_sealed, seal
from gateway.errors import Refused, Scope

RECIPIENTS = {"RSA 3072": "oct-seal", "P-256": "box-seal", "P-384": "recovery"}
SIZES = [0, 1, 1 << 20, BLOCK + 5]


def sealed(data: bytes, pki: Pki, *names: str) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(data), len(data), out, [pki.certificate(name) for name in names])
    return out.getvalue()


def opened(envelope: bytes, pki: Pki, name: str) -> bytes:
    out = io.BytesIO()
    size = open_sealed(io.BytesIO(envelope), out, pki.certificate(name), pki.key(name))
    assert size == len(out.getvalue())
    return out.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", RECIPIENTS.values(), ids=RECIPIENTS)
def test_each_recipient_opens_what_was_sealed_to_all(pki: Pki, name: str, size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed(data, pki, *RECIPIENTS.values()), pki, name) == data


def test_another_reader_sees_the_profile(pki: Pki) -> None:
    info = cms.ContentInfo.load(sealed(b"contenu", pki, "oct-seal", "box-seal"), strict=True)
    assert info["content_type"].native == "authenticated_enveloped_data"
    content = info["content"]
    assert content["version"].native == "v0" and len(content["recipient_infos"]) == 2
    cipher = content["auth_encrypted_content_info"]["content_encryption_algorithm"]
    assert cipher["algorithm"].dotted == oids.AES256_GCM
    nonce, tag_size = cipher["parameters"].parse().dump(), content["mac"].native
    assert nonce.endswith(der.integer(16)) and len(tag_size) == 16


def test_two_seals_of_one_content_share_nothing(pki: Pki) -> None:
    one, two = (sealed(bytes(64), pki, "box-seal") for _ in range(2))
    assert one[-82:-18] != two[-82:-18] and one[-16:] != two[-16:]


def _identity(pki: Pki, name: str) -> tuple:
    return pki.certificate(name), pki.key(name)


def test_tags_swapped_between_two_envelopes_are_refused(pki: Pki) -> None:
    one, two = (sealed(b"0123456789", pki, "box-seal") for _ in range(2))
    with pytest.raises(Refused) as refused:
        opened(one[:-16] + two[-16:], pki, "box-seal")
    assert (refused.value.code, refused.value.scope) == ("CMS-022", Scope.FICHIER)


def hand_made(
    pki: Pki,
    *,
    cipher: str = oids.AES256_GCM,
    nonce: bytes = bytes(12),
    tag_size: bytes = der.integer(16),
    tag: bytes = bytes(16),
    content_type: str = oids.DATA,
    version: int = 0,
    content_key: bytes = bytes(32),
    more: bytes = b"",
) -> bytes:
    infos = der.set_of([recipient_info(pki.certificate("box-seal"), content_key)])
    algorithm = der.sequence(der.oid(cipher), der.sequence(der.octets(nonce), tag_size))
    content = der.sequence(der.oid(content_type), algorithm, der.tlv(der.context(0, constructed=False), b"xyz"))
    data = der.sequence(der.integer(version), infos, content, more, der.octets(tag))
    return der.sequence(der.oid(oids.AUTH_ENVELOPED_DATA), der.tlv(der.context(0), data))


PROFILES = {
    "sound but for the tag": ({}, "CMS-022"),
    "AES-256-CBC": ({"cipher": "2.16.840.1.101.3.4.1.42"}, "CMS-024"),
    "tag of 12 said by default": ({"tag_size": b""}, "CMS-023"),
    "tag of 12": ({"tag_size": der.integer(12)}, "CMS-023"),
    "tag shorter than said": ({"tag": bytes(12)}, "CMS-023"),
    "tag longer than said": ({"tag": bytes(17)}, "CMS-023"),
    "nonce of 8": ({"nonce": bytes(8)}, "CMS-023"),
    "other content type": ({"content_type": oids.SIGNED_DATA}, "CMS-010"),
    "other version": ({"version": 1}, "CMS-010"),
    "authenticated attributes": ({"more": der.tlv(der.context(1), der.sequence())}, "CMS-010"),
}


@pytest.mark.parametrize(("change", "code"), PROFILES.values(), ids=PROFILES)
def test_what_is_not_the_profile_is_refused_by_name(pki: Pki, change: dict, code: str) -> None:
    with pytest.raises(Refused) as refused:
        opened(hand_made(pki, **change), pki, "box-seal")
    assert refused.value.code == code


def test_a_signed_file_that_is_not_sealed_is_named(pki: Pki) -> None:
    with pytest.raises(Refused, match=r"CMS-010.*pas scellé"):
        opened(der.sequence(der.oid(oids.SIGNED_DATA), der.tlv(der.context(0))), pki, "box-seal")


def test_what_is_sealed_to_others_stops_the_route_and_no_fichier(pki: Pki) -> None:
    for name, other in (("oct-seal", "box-seal"), ("box-seal", "oct-seal"), ("box-seal", "box-delivery")):
        with pytest.raises(Refused) as refused:
            opened(sealed(b"contenu", pki, name), pki, other)
        assert (refused.value.code, refused.value.scope) == ("CMS-020", Scope.ROUTE)


def test_our_certificate_with_another_key_is_refused(pki: Pki) -> None:
    with pytest.raises(Refused, match="CMS-021"):
        open_sealed(
            io.BytesIO(sealed(b"", pki, "box-seal")),
            io.BytesIO(),
            pki.certificate("box-seal"),
            pki.key("box-transport"),
        )


def test_a_content_key_of_another_size_is_refused(pki: Pki) -> None:
    with pytest.raises(Refused, match="CMS-021"):
        opened(hand_made(pki, content_key=bytes(16)), pki, "box-seal")


def test_pieces_of_any_size_give_the_content(pki: Pki) -> None:
    data = os.urandom(BLOCK * 2 + 77)
    reading = Opened(io.BytesIO(sealed(data, pki, "box-seal")), *_identity(pki, "box-seal"))
    assert reading.size == len(data)
    pieces = [reading.read(size) for size in (1, 5000, BLOCK * 3)]
    while piece := reading.read(100_000):
        pieces.append(piece)
    assert b"".join(pieces) == data and reading.read(10) == b""


def test_an_envelope_need_not_stand_at_the_beginning_of_its_file(pki: Pki) -> None:
    file = io.BytesIO(b"header" + sealed(b"contenu", pki, "box-seal"))
    file.seek(6)
    assert Opened(file, *_identity(pki, "box-seal")).read() == b"contenu"


@pytest.mark.parametrize("position", [0, BLOCK - 1, BLOCK, 2 * BLOCK + 9])
def test_a_file_that_changes_between_the_passes_releases_only_what_was_checked(pki: Pki, position: int) -> None:
    data = os.urandom(2 * BLOCK + 10)
    file = io.BytesIO(sealed(data, pki, "box-seal"))
    reading, out = Opened(file, *_identity(pki, "box-seal")), b""
    offset = len(file.getvalue()) - 18 - len(data) + position
    file.getbuffer()[offset] ^= 1
    with pytest.raises(Refused) as refused:
        while piece := reading.read():
            out += piece
    assert (refused.value.code, refused.value.scope) == ("CMS-025", Scope.BOX)
    assert out == data[: position // BLOCK * BLOCK]


def test_a_file_cut_between_the_passes_is_refused(pki: Pki) -> None:
    file = io.BytesIO(sealed(bytes(100), pki, "box-seal"))
    reading = Opened(file, *_identity(pki, "box-seal"))
    file.truncate(len(file.getvalue()) - 40)
    with pytest.raises(Refused, match="CMS-001"):
        reading.read()


def test_more_or_less_content_than_was_said_is_a_bug(pki: Pki) -> None:
    sealer = Sealer(io.BytesIO(), [pki.certificate("box-seal")], 10)
    sealer.write(b"012345678")
    with pytest.raises(ValueError, match="less content"):
        sealer.close()
    with pytest.raises(ValueError, match="more content"):
        sealer.write(b"9x")


def test_a_seal_to_nobody_is_a_bug() -> None:
    with pytest.raises(ValueError, match="recipient"):
        Sealer(io.BytesIO(), [], 0)


def test_memory_is_flat(pki: Pki, tmp_path: Path) -> None:
    size, path = 64 << 20, tmp_path / "large"

    class Zeros:
        left = size

        def read(self, wanted: int, /) -> bytes:
            part = bytes(min(wanted, self.left))
            self.left -= len(part)
            return part

    tracemalloc.start()
    try:
        with path.open("w+b") as file:
            seal(Zeros(), size, file, [pki.certificate("box-seal")])
            file.seek(0)
            with Path(os.devnull).open("wb") as nowhere:
                open_sealed(file, nowhere, *_identity(pki, "box-seal"))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
