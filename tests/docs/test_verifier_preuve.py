"""The checker of an evidence file: short enough to be read, and there is no piece that can be touched unseen."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import tokenize
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from evidence_bench import (
    CHECKER,
    EvidenceBench,
    attributes_of,
    checked,
    complaint,
    forged,
    grown,
    lay_out,
    lists_of,
    pem_of,
    rows_of,
    write_zip,
    x509_of,
)

from gateway.journal import merkle

LINES = 100
"""Lines of code, neither blank nor comment nor docstring: an auditor reads it before he believes it."""

PIECES = ("signature", "presence", "journal", "recu-1", "arl-1")
FILES = (*(f"{name}.{kind}" for name in PIECES for kind in ("cms", "pem")), "listes.pem", "journal.json")

NONE_ELSE = "chaque reçu, chaque ARL qu'il nomme est là, et nul autre"

Change = Callable[[list[Any]], object]


# ---------------------------------------------------------------- to be read


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that hold code."""
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in blank]
    return {line for one in tokens for line in range(one.start[0], one.end[0] + 1)} - prose


def test_it_stays_short() -> None:
    text = CHECKER.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(code_lines(text)) <= LINES
    assert max(map(len, lines)) <= 120
    assert "# fmt:" not in text and "# noqa" not in text, "laid out by ruff as all the rest"
    assert not [line for line in lines if ";" in line.split("#")[0] and not line.lstrip().startswith(("Dit", '"""'))]


def test_it_needs_python_alone() -> None:
    tree = ast.parse(CHECKER.read_text(encoding="utf-8"))
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"json", "sys", "base64", "hashlib", "pathlib"}


# ---------------------------------------------------------------- its arithmetic


def test_it_follows_a_way_up_as_we_do(functions: dict[str, Any]) -> None:
    """Each row of trees of every small size is at its own place and at no other."""
    climbs = functions["climbs"]
    for size in range(1, 18):
        leaves = [merkle.leaf_hash(hashlib.sha256(b"%d" % n).digest()) for n in range(size)]

        def node(level: int, number: int, leaves: list[bytes] = leaves) -> bytes:
            return merkle.complete_root(leaves[number << level : (number + 1) << level])

        root = merkle.root(size, node)
        assert climbs(leaves[0], 0, size + 1, []) != leaves[0], "a leaf is no tree of more"
        for n in range(size):
            path = [step.hex() for step in merkle.inclusion(n, size, node)]

            held = [place for place in range(-2, 3 * size + 2) if climbs(leaves[n], place, size, path) == root]
            assert held == [n]
            for wrong in ([*path, "00" * 32], path[:-1] or ["00" * 32]):
                assert climbs(leaves[n], n, size, wrong) != root


SHA256 = hashes.SHA256()
PADDINGS: dict[str, padding.AsymmetricPadding] = {
    "PKCS #1 v1.5": padding.PKCS1v15(), "PSS": padding.PSS(padding.MGF1(SHA256), 32)
}  # fmt: skip


@functools.cache
def rsa_key(size: int) -> tuple[rsa.RSAPrivateKey, bytes]:
    """A key, and the public one as a certificate has it."""
    key = rsa.generate_private_key(65537, size)
    return key, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("size", [2048, 3072, 4096])
@pytest.mark.parametrize("pad", PADDINGS.values(), ids=PADDINGS)
def test_it_judges_signatures_as_others_do(signed: Any, size: int, pad: padding.AsymmetricPadding) -> None:
    key, public = rsa_key(size)
    for n in range(20):
        message = b"message %d" % n
        made = key.sign(message, pad, SHA256)
        assert signed(public, message, made)
        assert not signed(public, message + b".", made)
        assert not signed(public, message, flipped(made, n))


OTHERS: dict[str, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = {
    "SHA-1": (padding.PKCS1v15(), hashes.SHA1()),
    "SHA-512": (padding.PKCS1v15(), hashes.SHA512()),
    "PSS, SHA-1": (padding.PSS(padding.MGF1(hashes.SHA1()), 20), hashes.SHA1()),
    "PSS, mask by SHA-1": (padding.PSS(padding.MGF1(hashes.SHA1()), 32), SHA256),
    "PSS, no salt": (padding.PSS(padding.MGF1(SHA256), 0), SHA256),
    "PSS, a byte less": (padding.PSS(padding.MGF1(SHA256), 31), SHA256),
    "PSS, a byte more": (padding.PSS(padding.MGF1(SHA256), 33), SHA256),
}


@pytest.mark.parametrize(("pad", "hash_"), OTHERS.values(), ids=OTHERS)
def test_it_knows_no_other_way_to_sign(signed: Any, pad: padding.AsymmetricPadding, hash_: Any) -> None:
    key, public = rsa_key(2048)
    assert not signed(public, b"m", key.sign(b"m", pad, hash_))


def test_no_block_but_that_of_the_message_is_one(signed: Any) -> None:
    """Who has the key signs any block: each byte of a sound one of either kind, turned."""
    key, public = rsa_key(2048)
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    for pad in PADDINGS.values():
        sound = pow(int.from_bytes(key.sign(b"m", pad, SHA256)), 65537, modulus).to_bytes(256)
        for at in range(256):
            block = int.from_bytes(flipped(sound, at))
            made = pow(block % modulus, numbers.d, modulus).to_bytes(256)
            assert block >= modulus or not signed(public, b"m", made), at
        top = int.from_bytes(sound) | 1 << 2047
        assert top >= modulus or not signed(public, b"m", pow(top, numbers.d, modulus).to_bytes(256))


def test_a_key_on_a_curve_signs_nothing(signed: Any) -> None:
    """It is for openssl: docs/preuve.md says so."""
    for _ in range(20):
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with contextlib.suppress(ArithmeticError, LookupError, TypeError, ValueError):  # said as what cannot be read
            assert not signed(public, b"m", key.sign(b"m", ec.ECDSA(SHA256)))


# ---------------------------------------------------------------- a sound one


@pytest.fixture(scope="module")
def said(bench: EvidenceBench, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> str:
    done = checked(lay_out(tmp_path_factory.mktemp("sound") / "p", files), bench.root)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_all_that_is_in_it_is_looked_at(files: dict[str, bytes], said: str) -> None:
    assert set(files) == set(FILES)
    for name in (*PIECES, "journal.json"):
        assert f"tient         {name} : " in said
    assert said.count("contresigné par l'OCT") == 4 and NONE_ELSE in said
    assert "contenus signés : 0" in said.partition("signé le")[0], "nobody gave the original"


# ---------------------------------------------------------------- touched


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_removed_is_missed(judged: Callable[..., str], name: str) -> None:
    what = judged({name: None})
    assert what.startswith(name.removesuffix(".cms").removesuffix(".pem") if name != "listes.pem" else "signature")


def test_a_piece_that_is_removed_whole_is_missed_where_the_journal_names_it(judged: Callable[..., str]) -> None:
    for name in ("recu-1", "arl-1"):
        what = judged({f"{name}.cms": None, f"{name}.pem": None})
        assert what == f"journal.json : {NONE_ELSE}"


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


@pytest.mark.parametrize("name", FILES)
def test_a_byte_that_is_flipped_is_found(judged: Callable[..., str], files: dict[str, bytes], name: str) -> None:
    """In what counts of each: a signature, the first of the certificates or lists, a row of the journal."""
    places = {"cms": -2, "pem": 200, "json": 150}
    what = judged({name: flipped(files[name], places[name.rpartition(".")[2]])})
    assert what.startswith(name.removesuffix(".cms").removesuffix(".pem") if name != "listes.pem" else "signature")


@pytest.mark.parametrize("name", FILES[:-1])
def test_garbage_is_said_in_one_sentence(judged: Callable[..., str], files: dict[str, bytes], name: str) -> None:
    whole = files[name]
    for content in (b"", b"\xff\xfe garbage", b"\x30\x80" * 600, whole[: len(whole) // 2]):
        assert judged({name: content})


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"[1]", b"[{}]", b"null", b"[" * 100_000, b'"\xff"', b"[[]]"])
def test_a_journal_that_is_none_is_said(judged: Callable[..., str], text: bytes) -> None:
    assert judged({"journal.json": text}).startswith("journal.json : ")


def test_what_is_no_directory_of_evidence_is_said(
    bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path
) -> None:
    """The ZIP itself, which is to be unpacked first; a directory inside."""
    made = write_zip(tmp_path / "preuve.zip", files)
    for where in (tmp_path / "absent", made):
        assert complaint(checked(where, bench.root)) == "la preuve : complet et lisible"
    assert complaint(checked(lay_out(tmp_path / "p", {}), bench.root)) == "signature : complet et lisible"
    (lay_out(tmp_path / "p", files) / "inside").mkdir()
    assert complaint(checked(tmp_path / "p", bench.root)) == "la preuve : complet et lisible"


def test_without_words_it_tells_how_it_is_used(tmp_path: Path) -> None:
    for words in ((), (tmp_path,)):
        done = checked(*words)
        assert done.returncode != 0 and "EMPREINTE_SHA256_DE_LA_RACINE" in done.stderr
        assert "Traceback" not in done.stderr


def test_who_stops_it_is_told_nothing_of_the_evidence(bench: EvidenceBench, tmp_path: Path) -> None:
    os.mkfifo(lay_out(tmp_path / "p", {}) / "pipe")
    command = ["env", "--default-signal=INT", "/usr/bin/python3", "-I", CHECKER, tmp_path / "p", bench.root]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    with (tmp_path / "p/pipe").open("wb"):  # it reads
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (70, b"")


def test_another_root_does_not_hold(bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path) -> None:
    made = lay_out(tmp_path / "p", files)
    for root in ("00" * 32, "", bench.root[:-2], "bonjour"):
        assert complaint(checked(made, root)) == "signature : sous la racine que vous avez donnée"
    colons = ":".join(bench.root.upper()[at : at + 2] for at in range(0, 64, 2))
    assert checked(made, colons).returncode == 0, "as openssl writes it"


def test_the_original_is_compared(bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path) -> None:
    made, original = lay_out(tmp_path / "p", files), tmp_path / "original"
    original.write_bytes(bench.content("a.b2"))
    done = checked(made, bench.root, original)
    assert done.returncode == 0 and "signature : contenus signés : 1" in done.stdout
    for content in (b"", bench.content("a.b2")[:-1], bench.content("b.b2")):
        original.write_bytes(content)
        assert complaint(checked(made, bench.root, original)) == "signature : contenus signés : 1"
    assert complaint(checked(made, bench.root, tmp_path / "absent")) == "la preuve : complet et lisible"


ROWS: dict[str, tuple[Change, str]] = {
    "verb": (lambda rows: rows[2].update(text=rows[2]["text"].replace('"sign"', '"seal"')), "seal"),
    "time": (lambda rows: rows[2].update(text=rows[2]["text"].replace("T", "U", 1)), "sign"),
    "holder": (lambda rows: rows[2].update(text=rows[2]["text"].replace("titulaire", "remplaçant")), "sign"),
    "place": (lambda rows: rows[2].update(text=rows[2]["text"].replace('"seq":', '"seq":1')), "sign"),
    "before": (lambda rows: rows[2].update(previous="00" * 32), "sign"),
    "step": (lambda rows: rows[2]["path"].__setitem__(0, "00" * 32), "sign"),
    "step less": (lambda rows: rows[2]["path"].pop(), "sign"),
    "step more": (lambda rows: rows[2]["path"].append("00" * 32), "sign"),
    "step of the head": (lambda rows: rows[2]["head"].__setitem__(0, "00" * 32), "… contresigné par l'OCT"),
    "no head": (lambda rows: rows[2].update(head=[]), "… contresigné par l'OCT"),
    "exchanged": (lambda rows: rows[1].update(text=rows[2]["text"]), "sign"),
}


@pytest.mark.parametrize(("change", "what"), ROWS.values(), ids=ROWS)
def test_a_row_that_is_changed_has_no_way_up(
    judged: Callable[..., str], files: dict[str, bytes], change: Change, what: str
) -> None:
    rows = rows_of(files)
    before = json.dumps(rows)
    change(rows)
    assert json.dumps(rows) != before
    assert judged({"journal.json": json.dumps(rows).encode()}).endswith(what)


def test_a_row_of_another_fichier_is_none_of_this_one(
    bench: EvidenceBench, keys: tuple[str, str], files: dict[str, bytes], judged: Callable[..., str]
) -> None:
    other = bench.evidence(keys[1])
    assert other["journal.cms"] == files["journal.cms"], "the same checkpoint: the way up is good"
    rows = [*rows_of(files), rows_of(other)[2]]
    assert judged({"journal.json": json.dumps(rows).encode()}).endswith("sign")


@pytest.mark.parametrize("name", ["presence", "recu-1", "arl-1"])
def test_a_piece_of_another_fichier_is_none_of_this_one(
    bench: EvidenceBench, keys: tuple[str, str], judged: Callable[..., str], name: str
) -> None:
    other = bench.evidence(keys[1])
    assert judged({f"{name}.{kind}": other[f"{name}.{kind}"] for kind in ("cms", "pem")}).startswith(f"{name} : ")


# ---------------------------------------------------------------- signed by others

SANTE, OCT, DOCTOR = "chains/sante", "chains/oct", "practitioners/99900000011"
CARDS = {
    "revoked": ("zoo/revoked/sig", SANTE, "non révoqué"),
    "its authority is revoked": ("zoo/revoked-authority/sig", "zoo/chains/sante-revoquee", "non révoqué"),
    "expired": ("zoo/expired/sig", SANTE, "valable alors"),
    "not yet valid": ("zoo/not-yet-valid/sig", SANTE, "valable alors"),
    "foreign": ("zoo/foreign/sig", "zoo/chains/etrangere", "émis par « OCT-GATEWAY TEST Racine »"),
    "of another authority": ("zoo/revoked-authority/sig", SANTE, "émis par « OCT-GATEWAY TEST AC Professionnels »"),
    "for authentication": (f"{DOCTOR}/auth", SANTE, "fait pour « signer »"),
    "of the OCT": ("oct-sign", OCT, "fait pour « signer »"),
}


@pytest.mark.parametrize(("signer", "authority", "what"), CARDS.values(), ids=CARDS)
def test_a_card_of_the_zoo_signs_nothing(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], signer: str, authority: str, what: str
) -> None:
    made = forged(bench, "signature", files["signature.cms"], signer, authority)
    every = (bench.pki.directory / "crl/all.pem").read_bytes()
    assert judged({**made, "listes.pem": every}).endswith(what)


RETURNS = {
    "a practitioner": (f"{DOCTOR}/sig", SANTE), "the box": ("box-sign", "chains/boites"),
    "another sector": ("zoo/wrong-sector", "chains/boites"), "the line of the OCT": ("oct-transport", OCT),
}  # fmt: skip


@pytest.mark.parametrize(("signer", "authority"), RETURNS.values(), ids=RETURNS)
@pytest.mark.parametrize("name", ["recu-1", "arl-1"])
def test_a_return_that_somebody_else_signed_is_none(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], name: str, signer: str, authority: str
) -> None:
    made = forged(bench, name, files[f"{name}.cms"], signer, authority)
    every = files["listes.pem"] + (bench.pki.directory / "crl/all.pem").read_bytes()
    assert judged({**made, "listes.pem": every}).endswith("fait pour « OCT »")


def test_a_checkpoint_that_somebody_else_signed_is_none(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str]
) -> None:
    made = forged(bench, "journal", files["journal.cms"], "oct-sign", OCT)
    assert judged(made).endswith("fait pour « journal »")


def test_the_same_forgery_by_who_may_holds(bench: EvidenceBench, files: dict[str, bytes], tmp_path: Path) -> None:
    """The forger of these tests is able: what it is not believed for is its certificate alone."""
    made = forged(bench, "arl-1", files["arl-1.cms"], "oct-sign", OCT)
    done = checked(lay_out(tmp_path / "p", files | made), bench.root)
    assert complaint(done).endswith(NONE_ELSE), "but the journal knows another"
    made = forged(bench, "signature", files["signature.cms"], f"{DOCTOR}/sig", SANTE)
    assert checked(lay_out(tmp_path / "p", files | made), bench.root).returncode == 0


@pytest.mark.parametrize("name", ["signature", "presence", "recu-1"])
def test_a_certificate_that_is_replaced_is_found(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], name: str
) -> None:
    pki, line = bench.pki, x509_of(files[f"{name}.pem"])
    for place, other in ((0, "zoo/wrong-sector"), (1, "zoo/chains/sante-revoquee"), (2, "zoo/foreign-root")):
        certificates = [pki.certificate(other) if n == place else one for n, one in enumerate(line)]
        assert judged({f"{name}.pem": pem_of(*certificates)}).startswith(f"{name} : ")
    for certificates in (line[:2], line[::-1], [line[0], line[1], *line[1:]]):
        assert judged({f"{name}.pem": pem_of(*certificates)}).startswith(f"{name} : ")


def test_a_certificate_for_the_same_key_is_another_one(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str]
) -> None:
    line = x509_of(files["signature.pem"])
    twin = pem_of(bench.twin(f"{DOCTOR}/sig", "sante"), *line[1:])
    assert judged({"signature.pem": twin}) == "signature : signé avec ce certificat"


def test_an_authority_that_is_none_makes_no_certificate(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str]
) -> None:
    made = forged(bench, "signature", files["signature.cms"], *bench.below_no_authority())
    assert judged(made) == "signature : « Faux » fait pour « autorité »"


def test_what_stands_beside_the_signed_is_not_taken_for_it(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], tmp_path: Path
) -> None:
    """A second block of attributes, which nobody signed, names another content; and a second content."""
    other = hashlib.sha256(bench.content("b.b2")).digest()
    tbs = files["signature.cms"]
    old = hashlib.sha256(bench.content("a.b2")).digest()
    block = attributes_of(tbs)
    doubled = grown(tbs, block, block + block.replace(old, other))
    (tmp_path / "b.b2").write_bytes(bench.content("b.b2"))
    assert judged({"signature.cms": doubled}, tmp_path / "b.b2") == "signature : contenus signés : 1"
    content = files["presence.cms"].index(b"oct-gateway/card-auth/1") - 2
    size = files["presence.cms"][content + 1] + 2
    held = files["presence.cms"][content - 2 : content + size]
    swapped = grown(files["presence.cms"], held, bytes((0xA0, 5, 4, 3)) + b"oct" + held)
    assert judged({"presence.cms": swapped}) == "presence : signature"


# ---------------------------------------------------------------- lists

LISTS = {
    "none": lambda bench, lists: [],
    "not of the root": lambda bench, lists: [one for one in lists if not bench.is_of(one, "root")],
    "not of the sector": lambda bench, lists: [one for one in lists if not bench.is_of(one, SANTE)],
    "stale": lambda bench, lists: [one if not bench.is_of(one, SANTE) else bench.stale("sante") for one in lists],
    "revoking": lambda bench, lists: [
        *(one for one in lists if not bench.is_of(one, SANTE)),
        x509.load_der_x509_crl(bench.pki.list_naming(f"{DOCTOR}/sig", bench.keeper.now)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("change", LISTS.values(), ids=LISTS)
def test_lists_that_do_not_clear_a_certificate_are_found(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], change: Any
) -> None:
    lists = change(bench, lists_of(files["listes.pem"]))
    what = judged({"listes.pem": b"".join(one.public_bytes(Encoding.PEM) for one in lists)})
    assert what.startswith("signature : « ") and what.endswith("» non révoqué")


@pytest.mark.parametrize("kind", ["delta", "without end", "by another"])
def test_a_list_that_is_not_whole_clears_nobody(
    bench: EvidenceBench, files: dict[str, bytes], judged: Callable[..., str], kind: str
) -> None:
    lists = [one for one in lists_of(files["listes.pem"]) if not bench.is_of(one, SANTE)]
    made = bench.odd_list(kind)
    what = judged({"listes.pem": made + b"".join(one.public_bytes(Encoding.PEM) for one in lists)})
    assert what == "signature : « 899900000011 » non révoqué"


# ---------------------------------------------------------------- every byte


def places(content: bytes, most: int) -> list[int]:
    """Some places in a file, the same each time; all of them where ``most`` is 0."""
    whole = range(len(content))
    return list(whole) if not most else sorted(random.Random(len(content)).sample(whole, min(most, len(content))))


def flip_all(bench: EvidenceBench, files: dict[str, bytes], said: str, tmp_path: Path, most: int) -> None:
    """A flipped byte is found, or it is one that nothing rests on: then not a word of what is said changes."""

    def look(case: tuple[int, tuple[str, int]]) -> bool:
        number, (name, at) = case
        made = lay_out(tmp_path / f"{number}", files | {name: flipped(files[name], at)})
        done = checked(made, bench.root)
        shutil.rmtree(made)
        if done.returncode == 0:
            assert (done.stdout, done.stderr) == (said, ""), (name, at)
            return False
        assert complaint(done)
        return True

    cases = itertools.chain.from_iterable(((name, at) for at in places(files[name], most)) for name in FILES)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, enumerate(cases)))
    assert sum(found) > 0.6 * len(found), f"{sum(found)} of {len(found)}"


def test_some_flipped_bytes(bench: EvidenceBench, files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    flip_all(bench, files, said, tmp_path, 2)


@pytest.mark.long
@pytest.mark.timeout(14400)
def test_every_flipped_byte(bench: EvidenceBench, files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    flip_all(bench, files, said, tmp_path, 0)
