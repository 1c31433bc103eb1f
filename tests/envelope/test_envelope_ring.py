"""A ring of keys: the one that the envelope names opens it, whichever its place; none opens what is not for us."""

from __future__ import annotations

import io

import pytest
from development_pki import Pki

from gateway.envelope.ring import Ring, open_by
from gateway.envelope.seal import seal
from gateway.errors import Refused

NAMES = ("box-seal", "box-delivery", "oct-seal")


def sealed_to(pki: Pki, name: str) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(b"content"), 7, out, [pki.certificate(name)])
    return out.getvalue()


def ring_of(pki: Pki, *names: str) -> Ring:
    return Ring([(pki.certificate(name), pki.key(name)) for name in names])


@pytest.mark.parametrize("name", NAMES)
def test_the_key_that_is_named_opens(pki: Pki, name: str) -> None:
    source = io.BytesIO(b"before" + sealed_to(pki, name))
    source.seek(6)
    assert ring_of(pki, *NAMES).open(source).read() == b"content"


def test_what_is_for_nobody_here_is_refused(pki: Pki) -> None:
    with pytest.raises(Refused) as refused:
        ring_of(pki, "box-seal", "oct-seal").open(io.BytesIO(sealed_to(pki, "box-delivery")))
    assert refused.value.code == "CMS-020"


def test_a_broken_seal_is_not_tried_again(pki: Pki) -> None:
    broken = bytearray(sealed_to(pki, "box-delivery"))
    broken[-1] ^= 1
    with pytest.raises(Refused) as refused:
        ring_of(pki, *NAMES).open(io.BytesIO(bytes(broken)))
    assert refused.value.code == "CMS-022"


def sealed_to_all(pki: Pki, *names: str) -> io.BytesIO:
    out = io.BytesIO(b"before")
    out.seek(6)
    seal(io.BytesIO(b"content"), 7, out, [pki.certificate(name) for name in names])
    out.seek(6)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_a_key_without_its_certificate_opens_what_is_sealed_to_it(pki: Pki, name: str) -> None:
    for given in ([name], [other for other in NAMES if other != name] + [name]):
        keys = [pki.key(one) for one in given]
        assert open_by(keys, sealed_to_all(pki, "recovery", "oct-sign", name)).read() == b"content"


def test_keys_for_none_of_which_it_is_sealed(pki: Pki) -> None:
    with pytest.raises(Refused) as refused:
        open_by([pki.key(name) for name in NAMES], sealed_to_all(pki, "recovery"))
    assert refused.value.code == "CMS-020"


def test_a_key_without_its_certificate_opens_no_broken_seal(pki: Pki) -> None:
    broken = bytearray(sealed_to(pki, "recovery"))
    broken[-1] ^= 1
    with pytest.raises(Refused) as refused:
        open_by([pki.key("box-seal"), pki.key("recovery")], io.BytesIO(bytes(broken)))
    assert refused.value.code == "CMS-022"
