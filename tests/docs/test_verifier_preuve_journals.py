"""Journals of a box that writes what it likes: what OCT, card and payer signed is still not its own to tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evidence_bench import EvidenceBench, checked, content_of, lay_out, rows_of, signed_by

from gateway.journal import merkle

Files = dict[str, bytes]
Text = dict[str, Any]

SIZE = 64
"""Rows of the journal that is made up; those of the fichier stand behind all that the OCT countersigned of the real."""

LATER = 20
SIGN = 2
"""Which row of the fichier tells of the signature."""

COUNTERSIGNED = "journal.json : … contresigné par l'OCT"
NOT_NAMED = "journal.json : chaque reçu, chaque ARL qu'il nomme est là, et nul autre"
LAST = "journal.json : dernière signature"


def later(files: Files, changed: Files) -> list[Text]:
    """What the rows of the fichier say, at places further back, of the returns as they were changed."""
    pieces = {sha(files[name]): sha(content) for name, content in changed.items()}
    texts: list[Text] = [json.loads(str(row["text"])) for row in rows_of(files)]
    for text in texts:
        text["seq"] += LATER
        if "piece" in text:
            text["piece"] = pieces.get(text["piece"], text["piece"])
    return texts


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tree(texts: list[Text]) -> merkle.Node:
    """The complete subtrees of a journal with these rows and nothing else in it."""
    leaves = [bytes(32)] * SIZE
    for text in texts:
        row = hashlib.sha256(bytes(32) + json.dumps(text).encode()).digest()
        leaves[text["seq"] - 1] = merkle.leaf_hash(row)
    return lambda level, number: merkle.complete_root(leaves[number << level : (number + 1) << level])


def journal(bench: EvidenceBench, files: Files, texts: list[Text], head: int = 0) -> Files:
    """These rows, each with its ways up, and the checkpoint over them; ``head`` rows were countersigned."""
    node = tree(texts)
    rows = [
        {
            "text": json.dumps(text), "previous": "00" * 32, "path": way(text, SIZE, node),
            "head": way(text, head, node) if text["seq"] <= head else [],
        }
        for text in texts
    ]  # fmt: skip
    point = json.loads(content_of(files["journal.cms"])) | {"size": SIZE, "root": merkle.root(SIZE, node).hex()}
    made = signed_by(bench, files["journal.cms"], json.dumps(point).encode(), "box-sign", "chains/boites")
    return {"journal.cms": made, "journal.json": json.dumps(rows).encode()}


def way(text: Text, size: int, node: merkle.Node) -> list[str]:
    return [step.hex() for step in merkle.inclusion(text["seq"] - 1, size, node)]


@pytest.fixture
def returned(bench: EvidenceBench, files: Files) -> Callable[..., Files]:
    """A return as the OCT signs it when it says something else too."""

    def sign(name: str, **other: object) -> Files:
        header, body = content_of(files[f"{name}.cms"]).split(b"\n", 1)
        content = header + b"\n" + json.dumps(json.loads(body) | other).encode()
        return {f"{name}.cms": signed_by(bench, files[f"{name}.cms"], content, "oct-sign", "chains/oct")}

    return sign


@pytest.fixture
def said(bench: EvidenceBench, files: Files, tmp_path: Path) -> Callable[[Files], str]:
    """What the checker says of an evidence that holds when these files stand in the place of the sound ones."""

    def say(changes: Files) -> str:
        done = checked(lay_out(tmp_path / "p", files | changes), bench.root)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    return say


# ---------------------------------------------------------------- what the OCT countersigned


def told(head: int, root: bytes) -> dict[str, object]:
    return {"size": head, "root": root.hex(), "word": "first"}


@pytest.mark.parametrize("head", [1, 31, 32, 34])
def test_what_stands_under_the_head_and_no_more_is_countersigned(
    bench: EvidenceBench, files: Files, returned: Any, said: Any, head: int
) -> None:
    """The box that makes journals up is able.  The row behind the last that was countersigned has no way up."""
    texts = later(files, {})
    assert {text["seq"] for text in texts} >= {32, 34}
    receipt = returned("recu-1", journal_head=told(head, merkle.root(head, tree(texts))))
    made = receipt | journal(bench, files, later(files, receipt), head)
    assert said(made).count("contresigné") == sum(text["seq"] <= head for text in texts)


def test_without_a_head_nothing_is_countersigned(bench: EvidenceBench, files: Files, returned: Any, said: Any) -> None:
    receipt = returned("recu-1", journal_head=None)
    assert "contresigné" not in said(receipt | journal(bench, files, later(files, receipt)))


NOTHING = bytes(32)
ROOTS: dict[str, tuple[bytes, list[str]]] = {
    "of nothing": (NOTHING, []),
    "over nothing": (merkle.node_hash(NOTHING, NOTHING), [NOTHING.hex()]),
    "of the empty tree": (merkle.EMPTY, []),
}


@pytest.mark.parametrize(("root", "path"), ROOTS.values(), ids=ROOTS)
def test_a_root_that_says_nothing_countersigns_nothing(
    bench: EvidenceBench, files: Files, returned: Any, judged: Callable[..., str], root: bytes, path: list[str]
) -> None:
    """The OCT countersigns the root of a tree that it does not see: no root may leave open what stands under it."""
    receipt = returned("recu-1", journal_head=told(SIZE, root))
    made = receipt | journal(bench, files, later(files, receipt))
    rows = [row | {"head": path} for row in rows_of(made)]
    assert judged(made | {"journal.json": json.dumps(rows).encode()}) == COUNTERSIGNED


def test_what_a_payer_wrote_countersigns_nothing(bench: EvidenceBench, files: Files, returned: Any, said: Any) -> None:
    """An OCT may relay an ARL byte for byte."""
    arl = returned("arl-1", journal_head=told(34, merkle.root(34, tree(later(files, {})))))
    assert "contresigné" not in said(arl | journal(bench, files, later(files, arl), 34))


def test_an_acknowledgement_is_no_receipt(
    bench: EvidenceBench, files: Files, returned: Any, judged: Callable[..., str]
) -> None:
    """Whatever the payer writes, and whatever the box calls it: by its file or in its journal."""
    digest = json.loads(content_of(files["recu-1.cms"]).split(b"\n", 1)[1])["digest"]
    arl = returned("arl-1", verdict="integrated", digest=digest)
    renamed = {"arl-1.cms": None, "arl-1.pem": None, "recu-2.cms": arl["arl-1.cms"], "recu-2.pem": files["arl-1.pem"]}
    texts = later(files, arl)
    assert judged(renamed | journal(bench, files, texts)) == NOT_NAMED
    for text in texts:
        text["kind"] = "receipt" if "kind" in text else ""
    for changes in (arl, renamed):
        assert judged(changes | journal(bench, files, texts)) == NOT_NAMED


# ---------------------------------------------------------------- which signature is in force

NAMED = {"certificate": "00" * 32, "signature": "00" * 32}


@pytest.mark.parametrize("name", NAMED)
def test_another_signature_is_not_the_one_in_force(
    bench: EvidenceBench, files: Files, judged: Callable[..., str], name: str
) -> None:
    texts = later(files, {})
    texts[SIGN][name] = NAMED[name]
    assert judged(journal(bench, files, texts)) == LAST


def test_of_several_the_last_is_in_force(
    bench: EvidenceBench, files: Files, judged: Callable[..., str], said: Any
) -> None:
    texts = later(files, {})
    mine = texts[SIGN]
    other, gone = mine | NAMED | {"seq": mine["seq"] - 3}, mine | NAMED | {"verb": "retract", "seq": mine["seq"] - 2}
    said(journal(bench, files, [*texts[:SIGN], other, gone, *texts[SIGN:]]))
    for last in (other, gone, mine | {"verb": "retract"}):
        assert judged(journal(bench, files, [*texts, last | {"seq": SIZE}])) == LAST
    assert judged(journal(bench, files, [*texts[:SIGN], *texts[SIGN + 1 :]])) == "journal.json : complet et lisible"
