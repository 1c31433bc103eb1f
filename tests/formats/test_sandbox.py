"""The child: it answers whatever it reads, stays small, and can open nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from b2_edits import SAMPLES, TWO_LOTS

from gateway.formats import noemie
from gateway.formats.b2_reveal import read_facture
from gateway.formats.b2_revealed import NOTHING, Revealed
from gateway.formats.findings import Report
from gateway.formats.kinds import check_fichier
from gateway.formats.noemie_values import Return
from gateway.formats.sandbox import MOST_INPUT

RETURN = (SAMPLES / "noemie_new_form_paid_and_rejected.noe").read_bytes()
COMMAND = (sys.executable, "-I", "-m", "gateway.formats.sandbox")

ATTEMPTS = {
    "a file": "open('/etc/passwd')",
    "a new file": "os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)",
    "a socket": "socket.socket()",
    "a pipe": "os.pipe()",
    "a copy of a descriptor": "os.dup(0)",
    "a program": "subprocess.run(['/bin/true'])",
    "a higher limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "much memory": "mmap.mmap(-1, 600 * 1024 * 1024)",
}


def answer(data: bytes, *options: str) -> bytes:
    return subprocess.run([*COMMAND, *options], input=data, capture_output=True, check=True, env={}, cwd="/").stdout


def test_a_fichier_gives_the_report() -> None:
    assert Report.from_json(answer(TWO_LOTS)) == check_fichier(TWO_LOTS)
    assert Report.from_json(answer(TWO_LOTS, "--profile", "mutsante")).blocked
    assert "B2-037" in {one.code for one in Report.from_json(answer(TWO_LOTS, "--today", "2020-01-01")).findings}


def test_one_facture_gives_its_fields_and_nothing_else() -> None:
    told = Revealed.from_json(answer(TWO_LOTS, "--as", "facture", "--lot", "2", "--facture", "1"))
    assert told == read_facture(TWO_LOTS, 2, 1) != NOTHING
    assert Revealed.from_json(answer(TWO_LOTS, "--as", "facture", "--lot", "9", "--facture", "1")) == NOTHING


def test_a_return_gives_its_reading() -> None:
    assert Return.from_json(answer(RETURN, "--as", "return")) == noemie.read(RETURN)


@pytest.mark.parametrize("data", [b"", b"\xff" * 1000, b"000" * 50, TWO_LOTS[:1000]])
def test_any_bytes_are_answered(data: bytes) -> None:
    assert Report.from_json(answer(data)).blocked
    assert Return.from_json(answer(data, "--as", "return")).blocked


MEASURE = """
import resource, subprocess, sys
with open(sys.argv[1], "rb") as source:
    told = subprocess.run(sys.argv[2:], stdin=source, capture_output=True, check=True).stdout
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.stdout.write(told.decode())
"""
"""Run from a small process: what is measured includes the parent that a child was forked from."""


def test_a_large_document_passes_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.write(b"%PDF-1.7")
        file.truncate(2 * MOST_INPUT)
        file.seek(0, os.SEEK_END)
        file.write(b"%%EOF\n")
    command = [sys.executable, "-I", "-c", MEASURE, str(path), *COMMAND]
    kilobytes, told = subprocess.run(command, capture_output=True, check=True).stdout.split(b"\n", 1)
    assert not Report.from_json(told).blocked
    assert 5_000 < int(kilobytes) < 40 * 1024


def test_too_much_is_refused() -> None:
    report = Report.from_json(answer(bytes(MOST_INPUT + 100)))
    assert [one.code for one in report.findings] == ["FMT-004"]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_can_be_opened(name: str) -> None:
    """The attempt works before the doors are closed and fails after."""
    script = (
        "import mmap, os, resource, socket, subprocess, sys\n"
        "from gateway.formats import sandbox\n"
        "if 'closed' in sys.argv: sandbox.close_doors()\n"
        f"try: {ATTEMPTS[name]}\n"
        "except (OSError, ValueError, MemoryError): print('refused')\n"
        "else: print('done')\n"
    )

    def outcome(*words: str) -> str:
        command = [sys.executable, "-I", "-c", script, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert outcome("closed") == "refused"
    assert outcome() == "done"
