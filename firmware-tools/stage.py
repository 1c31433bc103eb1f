"""A whole practice and its OCT on one machine, on real parts: for ``make dev``, ``make demo`` and the tests.

A ``Stage`` makes everything below one directory: the development PKI, the box's directories, keys and
configuration, the concentrator's; it starts each service as the process that systemd would start, the real
pcscd apart, and the virtual card.  It binds to loopback only, touches nothing outside its directory, and
ends what it started.  All services run as whoever started it: owners and modes are ``systemd/``'s affair.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

from ports import free_port
from samples import EMITTER

from gateway.book.board import BoardReader
from gateway.config import Paths, write_toml
from gateway.envelope.box_keys import SECRETS, owned_by
from gateway.lan.folder import FOLDERS
from gateway.leds import make_folder
from gateway.link.passwords import password_hash

REPO = Path(__file__).resolve().parents[1]
TOOLS = REPO / "firmware-tools"
SERVICES = ("concentrator", "card", "forward", "keeper", "intake", "status")
BOX = ("card", "forward", "keeper", "intake", "status")
PIN = "1234"
PATIENCE = 60.0
SENDER, OCT = "CABINET1", "OCT1"
DOCTOR, NURSE = "99900000011", "99900000029"
STAFF, STAFF_CARD = "499900000011/CPE0001", "secretariat"
"""A secretary and her CPE, which signs nowhere unless the settings of a stage say so."""
PRACTITIONERS = [{"holder": DOCTOR, "name": "Claire ESSAI"}, {"holder": NURSE, "name": "Paul EXEMPLE"}]
MANDATES = [{"holder": DOCTOR, "emitter": EMITTER, "role": "titulaire"}]
"""Only the first practitioner's card signs here, unless the settings of a stage say otherwise."""

T = TypeVar("T")

OWNERS = ("intake", "keeper", "forward", "status")


@dataclass
class Stage:
    """One practice, one box, one OCT; paths below ``root``, which must be short (sockets)."""

    root: Path
    payer: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    landing: str = ""
    """The practice's landing directory at the OCT, if it has a reserve channel."""
    enrolled: bool = False
    """No key and no certificate is placed by hand: ``enrol`` does what the technician and the OCT do."""
    pin: str = PIN
    """The code of the cards that are put in."""
    wrap: Callable[[str, list[str]], list[str]] = lambda name, command: command
    """What a service's command becomes before it is started (tests put their own around it)."""

    def __post_init__(self) -> None:
        self.paths = Paths(
            state=self.root / "var/lib/gateway", runtime=self.root / "run/gateway", practice=self.root / "srv/gateway",
            keys=self.root / "etc/gateway/keys", trust=self.root / "etc/gateway/trust",
        )  # fmt: skip
        self.pki, self.oct = self.root / "pki", self.root / "oct"
        self.config = self.root / "etc/gateway/gateway.toml"
        self.logs = self.root / "log"
        self.leds = self.root / "leds"
        self.ports = {name: free_port() for name in ("intake", "status", "concentrator")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.board = BoardReader(self.paths.board)

    # -- making

    def prepare(self) -> None:
        """PKI, directories, keys, configuration; once."""
        self.root.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, str(REPO / "certs-dev/make-certs"), str(self.pki)], check=True)
        self._directories()
        if not self.enrolled:
            self._trust()
            self._keys()
        self.config.write_text(write_toml(self._document()), encoding="utf-8")

    def reopen(self) -> None:
        """Take up a directory that ``prepare`` made before, with its ports."""
        document = tomllib.loads(self.config.read_text(encoding="utf-8"))
        self.ports = {name: document[name]["port"] for name in self.ports}

    def _directories(self) -> None:
        for path in (self.logs, self.oct):
            path.mkdir(parents=True, exist_ok=True)
        paths = self.paths
        doors = [paths.door(name) for name in ("new", "outgoing", "arrived", "counter", "notices")]
        rest = [
            paths.board.parent,
            paths.progress.parent,
            paths.socket("sign").parent,
            paths.trust / "crl",
            paths.lists,
        ]
        practice = [paths.practice / name for name in FOLDERS]
        make_folder(self.leds)
        owners = [paths.keys / owner for owner in OWNERS]
        own = [paths.book, paths.journal, paths.parts, paths.transfers, paths.intake]
        for path in (*doors, *rest, *owners, *own, *practice):
            path.mkdir(parents=True, exist_ok=True)

    def _trust(self) -> None:
        trust = self.paths.trust
        for name in ("root", "oct-seal", "oct-sign", "box-seal", "box-sign", "box-delivery", "recovery"):
            shutil.copy(self.pki / f"{name}.pem", trust / f"{name}.pem")
        chains = b"".join(path.read_bytes() for path in sorted((self.pki / "chains").glob("*.pem")))
        (trust / "chain.pem").write_bytes(chains)
        transport = (self.pki / "box-transport.pem").read_bytes()
        (trust / "box-transport.pem").write_bytes(transport + (self.pki / "chains/boites.pem").read_bytes())
        for file in (self.pki / "crl").iterdir():
            shutil.copy(file, trust / "crl" / file.name)

    def _keys(self) -> None:
        """Each key into the directory of its one owner."""
        for row in (row for service in OWNERS for row in owned_by(service)):
            self._put_key(row.owner, f"{row.name}.key", (self.pki / f"{row.name}.key").read_text())
        for secret in SECRETS:
            self._put_key(secret.owner, secret.name, secrets.token_hex(secret.size))
        self._put_key("forward", "oct-password", secrets.token_hex(4))

    def _put_key(self, service: str, name: str, text: str) -> None:
        path = self.paths.key(service, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def enrol(self, *options: str, code: str = "") -> subprocess.CompletedProcess[str]:
        """``gateway enrol`` with the card that is in the reader, and a new code unless one is given."""
        port = (self.oct / "enrolment-port").read_text().strip()
        pin, phrase = self.root / "enrol.pin", self.root / "phrase"
        pin.write_text(self.pin)
        phrase.write_text("une phrase secrète de recours")
        words = ["--code", code or self.code(), "--root-fingerprint", self.root_mark]
        files = ["--pin-file", str(pin), "--passphrase-file", str(phrase)]
        return self.gateway("enrol", f"https://localhost:{port}", *words, *files, *options)

    def code(self, rpps: str = DOCTOR) -> str:
        """A new enrolment code, as the OCT prints it."""
        rows = (":".join(row[name] for name in ("holder", "emitter", "role")) for row in MANDATES)
        mandates = [word for row in rows for word in ("--mandate", row)]
        told = self.gateway("concentrator", "code", SENDER, "--rpps", rpps, *mandates).stdout
        return next(line.split()[1] for line in told.splitlines() if line.startswith("Code "))

    @property
    def root_mark(self) -> str:
        """The fingerprint of the root."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert((self.pki / "root.pem").read_text())).hexdigest()

    def gateway(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command as typed, with this stage's settings and reader."""
        command = self.wrap(words[0], [sys.executable, "-m", "gateway", *words, "--config", str(self.config)])
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, cwd="/", timeout=PATIENCE)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PCSCLITE_CSOCK_NAME": str(self.reader / "pcscd.comm"), "PYTHONPATH": str(REPO)}

    def _partners(self) -> list[dict[str, Any]]:
        if self.enrolled:
            return []
        password = self.paths.key("forward", "oct-password").read_text()
        return [{"identifier": SENDER, "password_hash": password_hash(password), "landing": self.landing,
                 "client_name": "OCT-GATEWAY TEST box-transport", "mandates": MANDATES,
                 "box_seal": str(self.pki / "box-seal.pem"), "box_sign": str(self.pki / "box-sign.pem")}]  # fmt: skip

    def _enrolment(self) -> dict[str, Any]:
        """The boxes' authority, whose list goes on where the development PKI's ends."""
        if not self.enrolled:
            return {}
        shutil.copy(self.pki / "crl/boites.crl", self.oct / "boites.crl")
        return {"enabled": True, "port": 0, "authority_certificate": str(self.pki / "chains/boites.pem"),
                "authority_key": str(self.pki / "ca/boites.key"), "crl": str(self.oct / "boites.crl")}  # fmt: skip

    def _document(self) -> dict[str, dict[str, Any]]:
        pki, paths = self.pki, self.paths
        document: dict[str, dict[str, Any]] = {
            "box": {name: str(getattr(paths, name)) for name in ("state", "runtime", "practice", "keys", "trust")},
            "intake": {"port": self.ports["intake"], "poll_s": 0.2},
            "keeper": {
                "retry_s": 1.0, "poll_s": 0.1, "practitioners": PRACTITIONERS, "mandates": MANDATES,
                "emitters": [{"number": EMITTER, "holder": DOCTOR}],
            },
            "card": {},
            "forward": {
                "port": self.ports["concentrator"], "requester": SENDER, "server": OCT, "retry_s": 0.5,
                "retry_max_s": 2.0, "pull_s": 1.0, "pull_soon_s": 0.5, "poll_s": 0.1,
            },
            "status": {"port": self.ports["status"], "leds": str(self.leds)},
            "concentrator": {
                "directory": str(self.oct), "port": self.ports["concentrator"], "name": OCT,
                "partners": self._partners(), "enrolment": self._enrolment(),
                "seal_certificate": str(pki / "oct-seal.pem"), "seal_key": str(pki / "oct-seal.key"),
                "sign_certificate": str(pki / "oct-sign.pem"), "sign_key": str(pki / "oct-sign.key"),
                "transport_certificate": str(pki / "oct-transport.pem"),
                "transport_key": str(pki / "oct-transport.key"), "root": str(pki / "root.pem"),
                "chain": [str(path) for path in sorted((pki / "chains").glob("*.pem"))],
                "crls": [str(pki / "crl/all.pem")], "retry_s": 1.0, "payer": dict(self.payer),
            },
        }  # fmt: skip
        for name, values in self.settings.items():
            document[name].update(values)
        return document

    # -- running

    def start(self, *names: str) -> None:
        """Start services; a service of that name must not run already."""
        for name in names or SERVICES:
            command = [sys.executable, "-m", "gateway", "run", name, "--config", str(self.config)]
            self._spawn(name, self.wrap(name, command))

    def start_all_in_one(self) -> None:
        """Every service in one process, as ``gateway dev`` runs them."""
        self._spawn("dev", [sys.executable, "-m", "gateway", "dev", "--config", str(self.config)])

    def _spawn(self, name: str, command: list[str]) -> None:
        log = (self.logs / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd="/"
        )
        log.close()

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(PATIENCE)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is gone."""
        self.end(name, signal.SIGKILL)

    def alive(self, name: str) -> bool:
        """Whether a process runs."""
        return name in self.processes and self.processes[name].poll() is None

    def close(self) -> None:
        """End everything, newest first."""
        for name in reversed(list(self.processes)):
            process = self.processes.pop(name)
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the card

    @property
    def reader(self) -> Path:
        """Where the pcscd of this stage has its socket."""
        return self.root / "pcsc"

    def start_reader(self) -> None:
        """The real pcscd with an empty virtual reader, in namespaces of its own."""
        self._spawn("pcscd", [sys.executable, str(TOOLS / "pcscd-apart"), str(self.reader)])
        self.wait(lambda: (self.reader / "pcscd.comm").exists(), "pcscd")

    def insert_card(self, holder: str = "", *options: str) -> None:
        """Put a practitioner's card into the reader."""
        name = holder or sorted(path.name for path in (self.pki / "practitioners").iterdir())[0]
        tool = [sys.executable, str(TOOLS / "virtual-cps"), "--pki", str(self.pki), "--card", name]
        tool += ["--pin", self.pin, *options]
        enter = [sys.executable, str(TOOLS / "pcscd-apart"), str(self.reader), "--enter", "--", *tool]
        self._spawn("virtual-cps", enter)

    def await_card(self, there: bool = True) -> None:
        """Until pcscd has seen that a card was put in, or that there is none any more."""
        listing = [sys.executable, "-m", "gateway", "card", "list"]
        told = partial(subprocess.run, listing, capture_output=True, env=self.environment)
        self.wait(lambda: (b"CPS3" in told().stdout) is there, "the card")

    def pull_card(self) -> None:
        """Take the card out."""
        self.end("virtual-cps")

    # -- what users see

    def wait(self, condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
        """Poll until a condition holds and return what it gave; an error tells what was awaited, and the logs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(OSError):  # not there yet
                if found := condition():
                    return found
            time.sleep(0.05)
        raise TimeoutError(f"{what} did not come in {seconds:.0f} s; {self._ended()}logs in {self.logs}")

    def _ended(self) -> str:
        """What ended by itself, each with its last line."""
        told = ""
        for name, process in self.processes.items():
            if process.poll() is not None:
                said = (self.logs / f"{name}.log").read_text(errors="replace").splitlines() or [""]
                told += f"{name} ended with {process.returncode}: {said[-1]}; "
        return told

    def states(self) -> dict[str, str]:
        """Where each fichier stands, by its name, as the board says."""
        return {row["name"]: row["state"] for row in self.board.fichiers(10_000)}

    def await_states(self, expected: Mapping[str, str], seconds: float = PATIENCE) -> None:
        """Wait until the named fichiers stand where they should."""
        self.wait(lambda: expected.items() <= self.states().items(), f"{dict(expected)}", seconds)

    def hand_over(self, name: str, content: bytes) -> None:
        """What the practice's software does: write aside, rename into ``outbox/``."""
        aside = self.paths.practice / "outbox" / f"{name}.tmp"
        aside.write_bytes(content)
        aside.rename(aside.with_name(name))

    def ask(self, path: str, question: Mapping[str, Any] | None = None) -> Any:
        """JSON from (or to) the page's own API."""
        data = None if question is None else json.dumps(question).encode()
        request = Request(f"http://127.0.0.1:{self.ports['status']}{path}", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def pending(self) -> dict[str, Any]:
        """What the card is about to sign."""
        told: dict[str, Any] = self.ask("/api/v1/card")
        return told

    def unlock(self, pin: str = "") -> dict[str, Any]:
        """Type the PIN, or another, for what is shown now."""
        told: dict[str, Any] = self.ask("/api/v1/card/unlock", {"pin": pin or self.pin, "root": self.pending()["root"]})
        return told

    def integrated(self) -> list[dict[str, Any]]:
        """What the concentrator says it has taken."""
        listing = [sys.executable, "-m", "gateway", "concentrator", "list", "--json", "--directory", str(self.oct)]
        done = subprocess.run(listing, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(REPO)})
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def resident(self, name: str) -> int:
        """Peak resident memory of a running service, bytes."""
        status = Path(f"/proc/{self.processes[name].pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
