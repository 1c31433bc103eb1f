"""Theft: after a whole journey a thief of the box finds no patient, no code, no password and no private key in clear.

The journey has what could leave something behind: a fichier that is refused, documents, a wrong code, a cut line, a
SIGKILL of each service, returns of a payer that repeats a NIR in its reason, a reveal, an export, a
backup, an evidence file, the daily turn.  Temporary files are made below the stage and looked into.
The practice's own folders and the directories of keys are out of scope; the concentrator's end is looked into too.
``tests/test_theft_scan.py`` shows that what is looked for would be found, in each place and form.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.request import urlopen

import pytest
import samples
from pin_scan import CODE
from ports import free_port
from stage import BOX, REPO, Stage
from stage_root import stage_root
from theft_scan import PRACTICE, Listings, Secret, finds, in_files, key_secrets, nir_secret, pins_in, text_secret

from gateway.formats.b2 import check
from gateway.services.status.api import Api
from gateway.services.status.pages import Pages
from gateway.services.status.view import View

NAME = "LEFÈVRE-DURAND Ginette"
WHY = f"appel de {NAME}"
B2, FAULTY = samples.b2(3), samples.faulty_b2(4)
PATIENTS = sorted({one.nir for content in (B2, FAULTY) for lot in check(content).lots for one in lot.factures})
DOCUMENTS = b"%PDF-1.7\n% " + NAME.encode() + b" " + PATIENTS[0].encode() + samples.scanned(1 << 20)[8:]
REJECTED = samples.lots(3, (3, 2), samples.TODAY)[0].factures[1]
REASON = f"ASSURE {REJECTED.nir} INCONNU"[:50]


@dataclass
class Journey:
    """A stage, what other processes could see of it, what lists and pages showed, and what nobody should have."""

    stage: Stage
    listings: Listings
    secrets: list[Secret] = field(default_factory=list)
    shown: str = ""


def gateway(stage: Stage, *words: str, typed: str = "") -> str:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(stage.config)]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, cwd=REPO, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def travel(stage: Stage) -> str:
    """Everything that a day brings; the id of the fichier that went all the way."""
    for name, content in (("faux.b2", FAULTY), ("cabinet.b2", B2), ("ordonnances.pdf", DOCUMENTS)):
        stage.hand_over(name, content)
    stage.await_states({"faux.b2": "REFUSED", "cabinet.b2": "CHECKED", "ordonnances.pdf": "CHECKED"})
    stage.insert_card()
    stage.wait(lambda: stage.pending()["card"]["state"] == "locked" and len(stage.pending()["items"]) == 2, "card")
    with pytest.raises(OSError, match="422"):
        stage.unlock("9999")
    stage.kill("concentrator")
    assert stage.unlock()["ok"]
    stage.wait(lambda: any(row["scope"] == "route" and row["code"] for row in stage.board.conditions()), "the cut")
    gateway(stage, "status")
    stage.start("concentrator")
    stage.await_states({"cabinet.b2": "INTEGRATED", "ordonnances.pdf": "INTEGRATED"})
    stage.wait(lambda: all(row["settled"] for row in stage.board.factures()), "the payer's return")
    fichier = next(row["id"] for row in stage.board.fichiers() if row["name"] == "cabinet.b2")
    shown = gateway(stage, "reveal", fichier, "--lot", "1", "--facture", "1", "--why", "-", typed=WHY)
    assert any(nir[:13] in shown for nir in PATIENTS)
    gateway(stage, "export", "--nir-file", "-", str(stage.paths.practice / "inbox" / "acces"), typed=PATIENTS[0])
    stick = stage.root / "stick"
    stick.mkdir()
    gateway(stage, "backup", str(stick))
    gateway(stage, "evidence", fichier, str(stick / "proof.zip"))
    for name in BOX:
        stage.kill(name)
        stage.start(name)
    stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
    stage.hand_over("encore.b2", B2)
    stage.wait(lambda: list((stage.paths.practice / "processed").glob("*_encore.b2")), "the same bytes again")
    return str(fichier)


def everything_shown(stage: Stage, fichier: str) -> str:
    """All listings, in words and in JSON, and all pages."""
    commands = (
        ("status",), ("fichiers",), ("lots",), ("factures",), ("returns",), ("mandates",), ("show", fichier),
        ("clock",), ("journal", "verify"), ("journal", "show"), ("journal", "show", "--chain", "access"),
    )  # fmt: skip
    view = View(stage.paths)
    routes = [route.pattern for route in (*Pages(view).routes(), *Api(view).routes()) if route.method == "GET"]
    listed = [gateway(stage, *words) + gateway(stage, *words, "--json") for words in commands]
    listed.append(gateway(stage, "report", "security"))
    pages = [route.replace("{id}", fichier) for route in routes if route != "/static/{name}"]
    assert len(pages) > 10
    return "".join(listed + [read_page(stage, page) for page in pages])


def read_page(stage: Stage, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{stage.ports['status']}{path}", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    payer = {"reject": [REJECTED.number], "reject_label": REASON}
    with stage_root() as root, Listings(str(root)) as listings, pytest.MonkeyPatch.context() as environment:
        (root / "tmp").mkdir()
        environment.setenv("TMPDIR", str(root / "tmp"))
        ports = free_port()
        settings = {"forward": {"port": ports}, "concentrator": {"port": ports}}
        with Stage(root, payer=payer, settings=settings, pin=CODE) as stage:
            stage.prepare()
            stage.start_reader()
            stage.start()
            stage.wait(lambda: stage.ask("/api/v1/status"), "the page")
            fichier = travel(stage)
            patients = [nir_secret(nir) for nir in PATIENTS]
            keys = [*key_secrets(stage.paths.keys), *key_secrets(stage.pki.parent / "pki" / "practitioners")]
            secrets = [*patients, text_secret("a patient's name", NAME), *secrets_of(keys)]
            yield Journey(stage, listings, secrets, everything_shown(stage, fichier))


def secrets_of(keys: list[Secret]) -> list[Secret]:
    """Private keys and secrets, without the certificates that lie beside them."""
    return [secret for secret in keys if not secret.name.endswith((".pem", ".crl"))]


def test_nothing_is_readable_in_the_files_of_the_box(journey: Journey) -> None:
    stage = journey.stage
    passed = [stage.paths.keys, stage.pki, stage.config, *(stage.paths.practice / name for name in PRACTICE)]
    told = stage.config.read_bytes().replace(REASON.encode(), b"")  # what the payer's stand-in is told to say
    assert finds("configuration", told, journey.secrets) == []
    assert in_files(stage.root, journey.secrets, passed) == []
    assert list(stage.paths.book.glob("book.db-wal")), "looked at after it was emptied"


def test_what_was_searched_for_was_there_to_be_found(journey: Journey) -> None:
    """The same search, in the practice's own folders and the directory of keys, finds every one."""
    stage = journey.stage
    found = [*in_files(stage.paths.practice, journey.secrets), *in_files(stage.paths.keys, journey.secrets)]
    named = {find.rpartition(": ")[2] for find in found}
    others = {"a patient's name", "a private key", "oct-password", "pseudonym.key", "fichier-ids.key"}
    assert named >= {nir_secret(nir).name for nir in PATIENTS} | others


def test_nothing_is_readable_in_lists_and_pages(journey: Journey) -> None:
    assert "cabinet.b2" in journey.shown
    assert finds("listings", journey.shown.encode(), journey.secrets) == []


def test_the_address_of_the_concentrator_is_told_to_nobody(journey: Journey) -> None:
    stage = journey.stage
    address = f"127.0.0.1:{stage.ports['concentrator']}"
    told = b"".join(path.read_bytes() for path in (*stage.logs.glob("[!c]*.log"), stage.paths.board))
    for written in (address, address.replace(":", "', ")):  # the second as Python's own errors have it
        assert written not in journey.shown
        assert written.encode() not in told


def test_nothing_is_readable_in_process_listings(journey: Journey) -> None:
    seen = {name: content for name, content in journey.listings.seen.items() if "virtual-cps" not in name}
    assert sum(b"gateway" in content for content in seen.values()) > len(BOX)
    assert any(b"sandbox" in name.encode() or b"reveal" in content for name, content in seen.items())
    assert [find for name, content in seen.items() for find in finds(name, content, journey.secrets)] == []
    assert [name for name, content in seen.items() if pins_in(content, CODE)] == []


def test_nothing_is_readable_in_files_without_a_name(journey: Journey) -> None:
    seen = journey.listings.nameless
    assert [find for name, content in seen.items() for find in finds(name, content, journey.secrets)] == []


def test_the_code_is_in_no_text(journey: Journey) -> None:
    stage = journey.stage
    for place in (stage.logs, stage.paths.runtime, stage.paths.book, stage.paths.transfers):
        for path in place.rglob("*"):
            if path.is_file():
                assert not pins_in(path.read_bytes(), CODE), path


def test_a_planted_one_would_have_been_found(journey: Journey) -> None:
    stage = journey.stage
    for place in (stage.logs, stage.paths.book, stage.paths.board.parent, stage.paths.transfers, stage.oct):
        planted = place / "planted"
        for secret in journey.secrets[:1] + journey.secrets[-1:]:
            planted.write_bytes(b"x" + secret.forms[0] + b"x")
            assert in_files(place, [secret])
            planted.unlink()
