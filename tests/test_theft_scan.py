"""The scan for what a thief would find finds each kind of secret, planted in each kind of place, in each form."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from development_pki import Pki
from samples import nir
from theft_scan import Listings, Secret, finds, in_files, key_secrets, nir_secret, pins_in, text_secret

NIR = nir(42)
NAME = "LEFÈVRE-DURAND Ginette"
PASSWORD = "9f3c51aa07"
PIN = "0872"

SECRETS = {"nir": nir_secret(NIR), "name": text_secret("a name", NAME), "password": text_secret("a password", PASSWORD)}
PLAIN = {"nir": NIR[:13], "name": NAME, "password": PASSWORD}

FORMS: dict[str, Callable[[str], bytes]] = {
    "as written": lambda text: text.encode(),
    "in JSON": lambda text: f'{{"x":"{text}"}}'.encode(),
    "in JSON of ASCII": lambda text: json.dumps({"x": text}).encode(),
    "Latin-1": lambda text: text.encode("latin-1"),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "hexadecimal, large": lambda text: text.encode().hex().upper().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "EBCDIC": lambda text: text.encode("cp500"),
    "base64, first": lambda text: base64.b64encode(text.encode() + b" and more"),
    "base64, second": lambda text: base64.b64encode(b"x" + text.encode() + b" and more"),
    "base64, third": lambda text: base64.b64encode(b"xy" + text.encode()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", SECRETS)
def test_each_form_is_found(kind: str, form: str) -> None:
    written = FORMS[form](PLAIN[kind])
    planted = b"before " + written + b" after"
    assert finds("x", planted, SECRETS.values()) == [f"x: {SECRETS[kind].name}"]
    assert finds("x", b"before " + written[:6] + b" after", SECRETS.values()) == []


def test_a_nir_as_people_write_it() -> None:
    written = f"{NIR[0]} {NIR[1:3]} {NIR[3:5]} {NIR[5:7]} {NIR[7:10]} {NIR[10:13]}"
    assert finds("x", written.encode(), SECRETS.values())


def database(path: Path, statements: list[tuple[str, tuple[str, ...]]]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("CREATE TABLE t (a TEXT)")
    for statement, values in statements:
        connection.execute(statement, values)
    return connection


def row(path: Path, text: str) -> None:
    database(path / "book.db", [("INSERT INTO t VALUES (?)", (text,))]).close()


def free_page(path: Path, text: str) -> None:
    made = [("INSERT INTO t VALUES (?)", (f"{text} {number} " + "." * 900,)) for number in range(50)]
    database(path / "book.db", [*made, ("DELETE FROM t", ())]).close()


kept: list[sqlite3.Connection] = []


def write_ahead_log(path: Path, text: str) -> None:
    connection = sqlite3.connect(path / "book.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("INSERT INTO t VALUES (?)", (text,))
    kept.append(connection)  # a clean end would move it into the database
    assert text.encode() not in (path / "book.db").read_bytes()


def log(path: Path, text: str) -> None:
    (path / "keeper.log").write_text(f"<6>keeper: {text}\n", encoding="utf-8")


def trace(path: Path, text: str) -> None:
    (path / "trace").write_text("\n".join(text.encode().hex()[at : at + 64] for at in range(0, 200, 64)))


def receipt(path: Path, text: str) -> None:
    (path / "receipts").mkdir()
    (path / "receipts" / "a.json").write_text(f'{{"text": "{text}"}}', encoding="utf-8")


def name_of_a_file(path: Path, text: str) -> None:
    (path / f"{text}.pdf").write_bytes(b"")


def deflated_in_a_row(path: Path, text: str) -> None:
    with sqlite3.connect(path / "book.db") as connection:
        connection.execute("CREATE TABLE t (number INTEGER, content BLOB)")
        connection.execute("INSERT INTO t VALUES (1, ?)", (zlib.compress(f"one {text} two".encode() * 3),))


def deflated_in_an_archive(path: Path, text: str) -> None:
    with zipfile.ZipFile(path / "proof.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", f"one {text} two" * 3)


PLACES = (
    row, free_page, write_ahead_log, log, trace, receipt, name_of_a_file, deflated_in_a_row, deflated_in_an_archive,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SECRETS)
def test_each_place_is_looked_into(tmp_path: Path, kind: str, place: Callable[[Path, str], None]) -> None:
    assert in_files(tmp_path, SECRETS.values()) == []
    place(tmp_path, PLAIN[kind])
    found = in_files(tmp_path, SECRETS.values())
    assert found
    assert all(SECRETS[kind].name in find for find in found)
    assert in_files(tmp_path, SECRETS.values(), [tmp_path]) == []


def test_a_private_key_is_found_however_it_is_written(tmp_path: Path, pki: Pki) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("box-seal", "box-sign", "box-transport"):
        (keys / f"{name}.key").write_bytes((pki.directory / f"{name}.key").read_bytes())
    (keys / "pseudonym.key").write_text("0123456789abcdef" * 4)
    (keys / "oct-password").write_text(PASSWORD)
    secrets = key_secrets(keys)
    assert in_files(tmp_path, secrets, [keys]) == []
    for path in sorted(keys.iterdir()):
        for written in copies(path):
            leak = tmp_path / "leak"
            leak.write_bytes(b"\x00" * 7 + written + b"\x00" * 7)
            assert any(path.name in find or "private key" in find for find in in_files(tmp_path, secrets, [keys])), path
            leak.unlink()


def copies(path: Path) -> list[bytes]:
    """A key as PEM, as DER, and as base64 without its armour; a secret as text and as bytes."""
    content = path.read_bytes()
    if b"PRIVATE KEY" not in content:
        text = content.decode()
        return [content, bytes.fromhex(text)] if len(text) == 64 else [content]
    der = load_pem_private_key(content, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return [content, der, base64.b64encode(der), der.hex().encode()]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_what_other_processes_can_read_is_looked_into(tmp_path: Path, kind: str, where: str) -> None:
    words = ["sleep", "30"]
    environment = {**os.environ, "STAGE": str(tmp_path)}
    if where == "argument":
        words = ["sh", "-c", 'sleep 30 & wait "$!"', "sh", PLAIN[kind]]
    else:
        environment["X"] = PLAIN[kind]
    listings = Listings(str(tmp_path))
    with subprocess.Popen(words, env=environment, start_new_session=True) as process:
        try:
            for _ in range(100):
                listings.look()
                if any(finds(name, seen, [SECRETS[kind]]) for name, seen in listings.seen.items()):
                    break
            else:
                raise AssertionError("not found")
        finally:
            os.killpg(process.pid, 9)


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("made", ["tempfile.TemporaryFile()", "open(os.memfd_create('x'), 'wb')"])
def test_files_without_a_name_are_looked_into(tmp_path: Path, kind: str, made: str) -> None:
    write = f"file = {made}; file.write({PLAIN[kind].encode()!r}); file.flush()"
    program = f"import os, sys, tempfile; {write}; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program]
    listings = Listings(str(tmp_path))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path,
                          env={**os.environ, "TMPDIR": str(tmp_path)}) as process:  # fmt: skip
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        listings.look()
        process.stdin.close()
    assert in_files(tmp_path, SECRETS.values()) == []
    assert any(finds(name, seen, [SECRETS[kind]]) for name, seen in listings.nameless.items())


def test_a_code_is_found_in_text() -> None:
    assert pins_in(f"code {PIN} typed".encode(), PIN)
    assert pins_in(b"00 20 00 01 04 30 38 37 32", PIN)
    assert not pins_in(b"port 10872, 08721", PIN)


def test_a_find_does_not_repeat_the_secret() -> None:
    secret = Secret("a name", (b"abc",))
    assert finds("log", b"xabcx", [secret]) == ["log: a name"]
