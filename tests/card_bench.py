"""The real pcscd with virtual cards in it, and the same virtual card without any reader for what is pure.

``Pcscd`` runs ``firmware-tools/pcscd-apart``, ``Pcscd.insert`` runs ``firmware-tools/virtual-cps`` inside it: the
command lines are those that a person types.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from development_pki import Pki
from pin_scan import CODE, PUK, remove

TOOLS = Path(__file__).parents[1] / "firmware-tools"
sys.path.insert(0, str(TOOLS))

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: E402
from cryptography.hazmat.primitives.hashes import SHA256  # noqa: E402
from cryptography.x509 import load_der_x509_certificate  # noqa: E402
from virtual_cps.card import Identity, VirtualCps  # noqa: E402
from virtual_cps.codes import Codes  # noqa: E402

from gateway.card.reader import Readers, Slot  # noqa: E402
from gateway.errors import Deferred  # noqa: E402

DOCTOR, NURSE = "99900000011", "99900000029"
STAFF = "499900000011/CPE0001"
"""On the card in practitioners/secretariat."""
PATIENCE = 15.0


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that another process will do."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not happen in {PATIENCE} s: {slots()}"
        time.sleep(0.02)


def check_signature(certificate: bytes, signature: bytes, message: bytes) -> None:
    """Raise InvalidSignature unless ``signature`` is PKCS#1 v1.5 with SHA-256 over ``message``."""
    load_der_x509_certificate(certificate).public_key().verify(signature, message, PKCS1v15(), SHA256())


def identity_of(pki: Pki, name: str) -> Identity:
    """A practitioner's two key pairs."""

    def pair(use: str) -> tuple[RSAPrivateKey, object]:
        path = f"practitioners/{name}/{use}"
        key = pki.key(path)
        assert isinstance(key, RSAPrivateKey)
        return key, load_der_x509_certificate(pki.certificate(path))

    return Identity(*pair("sig"), *pair("auth"))  # type: ignore[arg-type]


def bare_card(
    pki: Pki, state: Path, name: str = DOCTOR, pin_each: bool = False, update: bytes | None = None
) -> VirtualCps:
    """A virtual card to be spoken to directly."""
    codes = Codes.load(state, CODE, PUK)
    return VirtualCps(int(name) % 1_000_000, identity_of(pki, name), codes, pin_each, update=update)


class InsertedCard:
    """A virtual card in a reader until it is pulled out."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        self.process = process
        self.state = state

    def pull(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()


class Pcscd:
    """A pcscd of our own, in a folder short enough for its socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pcsc", dir="/tmp"))
        self.socket = self.folder / "pcscd.comm"
        self.cards: list[InsertedCard] = []
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PCSCLITE_CSOCK_NAME": str(self.socket)}

    def start(self) -> None:
        command = [sys.executable, TOOLS / "pcscd-apart", self.folder]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == f"ready {self.socket}\n"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()

    def crash(self) -> None:
        """Have pcscd killed and another started in its place; virtual cards stay in their readers."""
        os.kill(int((self.folder / "apart.pid").read_text()), signal.SIGHUP)

    def close(self) -> None:
        self.stop()
        remove(self.folder)

    def insert(self, pki: Pki, state: Path, *options: str, name: str = DOCTOR, second: bool = False) -> InsertedCard:
        """Put a card in (the ``second`` reader if so) and wait until pcscd has seen it."""
        reader = 1 if second else 0
        # pcscd counts one for each card that comes and goes; put in before it saw the last one go, a card is lost
        until(lambda: slots()[reader].changes % 2 == 0, "the last card's removal")
        card = self.start_card(pki, state, *options, name=name, port=35964 if second else 35963)
        until(lambda: slots()[reader].atr is not None, "the card's insertion")
        return card

    def start_card(self, pki: Pki, state: Path, *options: str, name: str = DOCTOR, port: int = 35963) -> InsertedCard:
        tool = [sys.executable, TOOLS / "virtual-cps", "--pki", pki.directory, "--state", state, "--card", name]
        tool += ["--pin", CODE, "--puk", PUK]
        command = [sys.executable, TOOLS / "pcscd-apart", self.folder, "--enter", "--", *tool]
        process = subprocess.Popen(
            [*command, "--port", str(port), *options], stdout=subprocess.PIPE, text=True, env=self.environment
        )
        assert process.stdout
        assert process.stdout.readline() == f"inserted {port}\n"
        card = InsertedCard(process, state)
        self.cards.append(card)
        return card

    def empty(self) -> None:
        """Pull every card and wait until pcscd has noticed."""
        for card in self.cards:
            if card.process.poll() is None:
                card.pull()
        self.cards.clear()
        until(lambda: all(slot.atr is None for slot in slots()), "the cards' removal")


def until_seen(pcscd: Pcscd) -> None:
    """Wait until a program with ``pcscd``'s environment sees a card."""

    def seen() -> bool:
        said = subprocess.run(["opensc-tool", "-l"], env=pcscd.environment, capture_output=True, text=True).stdout
        return " Yes " in said

    until(seen, "the card's insertion")


def slots() -> tuple[Slot, ...]:
    """The readers as our own reader module sees them; both of vpcd's."""
    readers = Readers()
    try:
        return readers.look()
    except Deferred:
        return (Slot("", None, 0), Slot("", None, 0))
    finally:
        readers.close()
