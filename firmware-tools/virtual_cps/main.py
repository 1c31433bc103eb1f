"""The command line of ``virtual-cps``: choose a practitioner, insert the card, stay until stopped."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import (
    Certificate,
    CertificateBuilder,
    Name,
    NameAttribute,
    load_pem_x509_certificate,
    random_serial_number,
)
from cryptography.x509.oid import NameOID

from virtual_cps import faults
from virtual_cps.card import ATR, ATR_CONTACTLESS, Identity, VirtualCps
from virtual_cps.codes import Codes
from virtual_cps.slot import Slot

PIN, PUK = "1234", "12345678"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="virtual-cps",
        description="A CPS3 for development in the reader of vpcd, until it is stopped (that is: pulled out).",
    )
    parser.add_argument("--port", type=int, default=35963, help="vpcd's port; 35964 is its second reader")
    parser.add_argument(
        "--card", metavar="NAME", help="folder in PKI/practitioners or PKI/zoo; the first practitioner otherwise"
    )
    parser.add_argument("--pki", type=Path, required=True, help="folder made by certs-dev/make-certs")
    parser.add_argument(
        "--state", type=Path, help="where codes and tries are kept; codes.json beside the keys otherwise"
    )
    parser.add_argument("--faults", type=Path, help="JSON list of faults; see virtual_cps/faults.py")
    parser.add_argument("--delay-ms", type=int, default=0, help="how long each command takes")
    parser.add_argument("--pin", default=PIN, help="code of a new card")
    parser.add_argument("--puk", default=PUK, help="unblocking code of a new card")
    parser.add_argument("--atr", type=bytes.fromhex, help="another ATR, for a card that is no CPS3")
    parser.add_argument("--pin-each", action="store_true", help="the code serves for one signature only")
    parser.add_argument("--update", type=bytes.fromhex, metavar="HEX", help="EF_ACTUA of a card that had an update")
    parser.add_argument("--clone", action="store_true", help="that card's certificates, with other keys")
    parser.add_argument("--contactless", action="store_true", help="laid on the reader instead of put in")
    parser.add_argument("--journal", type=Path, help="a line for each command: when, how long, header, status word")
    return parser.parse_args()


def _folder(pki: Path, name: str | None) -> Path:
    """Where the card's keys lie: among the practitioners, or by name among those that must be refused."""
    patterns = [f"practitioners/{name}/sig.pem", f"zoo/{name}/sig.pem"] if name else ["practitioners/*/sig.pem"]
    there = [path.parent for pattern in patterns for path in sorted(pki.glob(pattern))]
    if not there:
        raise SystemExit(f"virtual-cps: no card {name or ''} in {pki}; make some with certs-dev/make-certs {pki}")
    return there[0]


def _pair(folder: Path, name: str) -> tuple[rsa.RSAPrivateKey, Certificate]:
    key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != 2048:
        raise SystemExit(f"virtual-cps: {folder / name}.key is not an RSA key of 2048 bits")
    return key, load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def _copy(identity: Identity) -> Identity:
    """Whoever copies a card has its certificates, and keys of their own."""
    sign, login = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    return replace(identity, sign_key=sign, login_key=login)


def _technical(folder: Path) -> tuple[rsa.RSAPrivateKey, Certificate]:
    """The contactless application's pair; nobody certifies it here, so it names itself."""
    key = rsa.generate_private_key(65537, 2048)
    name = Name([NameAttribute(NameOID.COMMON_NAME, f"OCT-GATEWAY TEST technique {folder.name}")])
    now = datetime.now(UTC)
    builder = CertificateBuilder(name, name, key.public_key(), random_serial_number(), now, now + timedelta(days=365))
    return key, builder.sign(key, SHA256())


def make(arguments: argparse.Namespace, name: str | None, clone: bool) -> VirtualCps:
    """The card of that practitioner, with the codes that it was left with."""
    folder = _folder(arguments.pki, name)
    codes = Codes.load(arguments.state or folder / "codes.json", arguments.pin, arguments.puk)
    identity = Identity(*_pair(folder, "sig"), *_pair(folder, "auth"))
    if clone:
        identity = _copy(identity)
    if arguments.contactless:
        key, certificate = _technical(folder)
        identity = replace(identity, technical_key=key, technical_certificate=certificate)
    number = crc32(folder.name.encode()) % 1_000_000
    return VirtualCps(number, identity, codes, arguments.pin_each, arguments.contactless, arguments.update)


def main() -> None:
    """Run the card until SIGTERM or SIGINT."""
    arguments = _arguments()
    card = make(arguments, arguments.card, arguments.clone)
    ordered = faults.load(arguments.faults) if arguments.faults else []
    atr = arguments.atr or (ATR_CONTACTLESS if arguments.contactless else ATR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    delay = arguments.delay_ms / 1000
    Slot(card, partial(make, arguments), atr, arguments.port, ordered, delay, arguments.journal).stay()
