"""A gibibyte and more, both ways with openssl's own cms, in flat memory: files and whole processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from development_pki import Pki
from peak import gateway

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

GIB = 1 << 30
MEMORY = 64 << 20
OAEP = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]
KINDS: dict[str, tuple[str, list[str], str, str]] = {
    "RSA": ("oct-seal", OAEP, "practitioners/99900000011/sig", "sign-fichier"),
    "EC": ("box-seal", ["-keyopt", "ecdh_kdf_md:sha256"], "oct-sign", "sign-return"),
}
CHAINS = {"oct-sign": "chains/oct", "practitioners/99900000011/sig": "chains/sante"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A directory that gives its gigabytes back at once."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content(path: Path) -> str:
    """A gibibyte of noise; its SHA-256."""
    with path.open("wb") as file:
        for _ in range(GIB >> 20):
            file.write(os.urandom(1 << 20))
    return digest(path)


def ours(verb: str, source: Path, target: Path, *words: str | Path) -> None:
    assert gateway("envelope", verb, source, target, *words).resident <= MEMORY


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", "cms", "-binary", *words], check=True)


@pytest.mark.parametrize(("owner", "keys", "signer", "use"), KINDS.values(), ids=KINDS)
def test_a_gibibyte_both_ways(pki: Pki, room: Path, owner: str, keys: list[str], signer: str, use: str) -> None:
    clear, signed, sealed, opened, checked = (
        room / name for name in ("clear", "signed", "sealed", "opened", "checked")
    )
    expected, of = content(clear), pki.directory
    anchors = room / "anchors.pem"
    anchors.write_bytes((of / "root.pem").read_bytes() + (of / "crl/all.pem").read_bytes())
    certificate, key = of / f"{owner}.pem", of / f"{owner}.key"
    signing, chain = (of / f"{signer}.pem", of / f"{signer}.key"), of / f"{CHAINS[signer]}.pem"

    ours("sign", clear, signed, "--certificate", signing[0], "--key", signing[1], "--chain", chain)
    ours("seal", signed, sealed, "--to", certificate)
    openssl("-decrypt", "-inform", "DER", "-in", sealed, "-out", opened, "-recip", certificate, "-inkey", key)
    openssl("-verify", "-inform", "DER", "-in", opened, "-out", checked, "-purpose", "any", "-cades",
            "-CAfile", anchors, "-crl_check_all")  # fmt: skip
    assert (digest(opened), digest(checked)) == (digest(signed), expected)

    openssl("-sign", "-nodetach", "-cades", "-outform", "DER", "-in", clear, "-out", signed,
            "-signer", signing[0], "-inkey", signing[1], "-certfile", chain)  # fmt: skip
    openssl("-encrypt", "-aes-256-gcm", "-outform", "DER", "-in", signed, "-out", sealed, "-recip", certificate, *keys)
    for path in (opened, checked):
        path.unlink()
    ours("open", sealed, opened, "--certificate", certificate, "--key", key)
    ours("verify", opened, checked, "--trust", of / "root.pem", "--crl", of / "crl/all.pem", "--use", use)
    assert digest(checked) == expected


def test_more_than_four_gibibytes_through_files_and_pipes(pki: Pki, room: Path) -> None:
    """Lengths of five bytes, which openssl's command does not take; the content is sparse and ends in a word."""
    clear, sealed, opened = (room / name for name in ("clear", "sealed", "opened"))
    with clear.open("wb") as file:
        file.truncate(4 * GIB + 12345)
        file.seek(0, os.SEEK_END)
        file.write(b"fin")
    of = pki.directory
    ours("seal", clear, sealed, "--to", of / "box-seal.pem", "--to", of / "oct-seal.pem")
    ours("open", sealed, opened, "--certificate", of / "box-seal.pem", "--key", of / "box-seal.key")
    assert opened.stat().st_size == clear.stat().st_size
    assert digest(opened) == digest(clear)
    opened.unlink()
    words = ["--certificate", of / "oct-seal.pem", "--key", of / "oct-seal.key"]
    with sealed.open("rb") as source, opened.open("wb") as target:
        run = gateway("envelope", "open", "-", "-", *words, stdin=source, stdout=target, env={"TMPDIR": str(room)})
    assert run.resident <= MEMORY
    assert digest(opened) == digest(clear)
