"""The zoo of ``certs-dev/pki.toml`` as questions: ``make-zoo`` makes it, nothing is read but its files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from path_judges import Question, read_pem

from gateway.envelope.certificates import Use
from gateway.envelope.revocation import authority_of

CERTS_DEV = Path(__file__).parents[2] / "certs-dev"
ZOO: dict[str, Any] = tomllib.loads((CERTS_DEV / "pki.toml").read_text(encoding="utf-8"))["zoo"]
CASES: dict[str, dict[str, Any]] = ZOO["cases"]


def questions(directory: Path) -> Iterator[tuple[str, Question]]:
    """Every case, made today in ``directory``."""
    now = datetime.now(UTC).replace(microsecond=0)
    subprocess.run([sys.executable, CERTS_DEV / "make-zoo", directory, "--now", now.isoformat()], check=True)
    for name, case in CASES.items():
        yield name, question(directory / name, case, now)


def question(directory: Path, case: dict[str, Any], at: datetime) -> Question:
    parts = {name: read_pem(directory / f"{name}.pem") for name in ("leaf", "chain", "root", "lists")}
    seen = {
        authority_of(x509.load_der_x509_certificate(parts["chain"][0])): last for last in case.get("seen", {}).values()
    }
    return Question(
        leaf=parts["leaf"][0],
        chain=parts["chain"],
        roots=parts["root"],
        lists=parts["lists"],
        use=Use(case.get("use", ZOO["sound"]["use"])),
        at=at,
        policies=frozenset(case.get("policies", ())),
        seen=seen,
    )
