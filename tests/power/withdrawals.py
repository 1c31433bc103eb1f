"""The signer's certificate is revoked while fichiers are under way, services die, and another card signs afresh."""

from __future__ import annotations

import json
import socket
import time
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import samples
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from development_pki import Pki
from stage import BOX, DOCTOR, MANDATES, NURSE, SERVICES, Stage

from gateway.book.moves import utc_now
from gateway.config import write_toml
from tests.power.kills import Dying, Outcome, count, dying

LOCUM = {"holder": NURSE, "emitter": samples.EMITTER, "role": "remplaçant"}


def admit_locum(stage: Stage) -> None:
    """A second card may sign, says the box and says the OCT."""
    document = tomllib.loads(stage.config.read_text(encoding="utf-8"))
    for holder in (document["keeper"], *document["concentrator"]["partners"]):
        holder["mandates"] = [*MANDATES, LOCUM]
    stage.config.write_text(write_toml(document), encoding="utf-8")


def revoke_at_oct(stage: Stage, rpps: str = DOCTOR) -> None:
    """The OCT has a list that names a practitioner's certificate."""
    _, made = _list(stage, rpps)
    path = stage.pki / "crl" / "all.pem"
    _replace(path, path.read_bytes() + made.public_bytes(Encoding.PEM))


def revoke_at_box(stage: Stage, rpps: str = DOCTOR) -> None:
    """The box has it."""
    der, _ = _list(stage, rpps)
    _replace(stage.paths.trust / "crl" / "sante-2.crl", der)


def _list(stage: Stage, rpps: str) -> tuple[bytes, x509.CertificateRevocationList]:
    der = Pki(stage.pki).list_naming(f"practitioners/{rpps}/sig", utc_now())
    return der, x509.load_der_x509_crl(der)


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(path)


def run_withdrawal(root: Path, fichiers: int, lines: Iterable[str], seconds: float, *, line_up: bool) -> Outcome:
    """Sign by one card, revoke its certificate before or while the OCT takes them, sign the rest by another."""
    contents = {f"b2-{n}": samples.b2(n, (2,)) for n in range(1, fichiers + 1)}
    with dying(root, lines, {}) as at_work:
        stage = at_work.stage
        admit_locum(stage)
        at_work.services = set(SERVICES if line_up else BOX)
        at_work.begin()
        for name, content in contents.items():
            stage.hand_over(name, content)
        far = "INTEGRATED" if line_up else "SEALED"
        enough = 2 if line_up else fichiers
        stage.wait(lambda: _count_of(stage, far) >= enough, f"{enough} {far}", seconds)
        revoke_at_oct(stage)
        revoke_at_box(stage)
        if not line_up:
            stage.wait(lambda: _count_of(stage, "CHECKED") == fichiers, "the signatures to be withdrawn", seconds)
        stage.pull_card()
        stage.wait(lambda: stage.pending()["card"]["state"] == "absent", "the card to be missed")
        stage.insert_card(NURSE)
        at_work.services = set(SERVICES)
        _see_through(at_work, fichiers, seconds)
        at_work.rest()
        return count(at_work)


def _count_of(stage: Stage, state: str) -> int:
    return list(stage.states().values()).count(state)


def _see_through(at_work: Dying, fichiers: int, seconds: float) -> None:
    """What a person does: resend what the OCT refused, release what is held because it may have left."""
    stage, end = at_work.stage, time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            for row in stage.board.fichiers():
                if row["state"] == "REFUSED":
                    ask(stage, {"op": "resend", "id": row["id"], "why": "signé par une carte révoquée"})
                elif row["held_since"]:
                    ask(stage, {"op": "release", "id": row["id"]})
            if _count_of(stage, "INTEGRATED") == fichiers:
                return
        time.sleep(0.3)
    raise TimeoutError(f"{stage.states()}; logs in {stage.logs}")


def ask(stage: Stage, question: dict[str, str]) -> None:
    """One question to the keeper, who may die of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(stage.paths.socket("admin")))
        connection.sendall(json.dumps(question).encode() + b"\n")
        connection.makefile("rb").readline()
