"""Keys and secrets sealed at rest: by systemd-creds, to the TPM or to the machine's own secret.

A secret lies either in clear in its service's directory, ``keys/<service>/<name>``, or sealed in root's,
``credentials/<service>/<name>``.  systemd opens the sealed ones for the service alone when it starts
(``LoadCredentialEncrypted=keys:…`` in its unit) and gives each as ``keys_<name>`` in memory.

Rules.  What lies in clear came later and wins: it waits to be sealed.  A service can neither seal nor remove a sealed
file: it makes in clear, and of what is to be destroyed it leaves word (``condemned``); root's ``gateway keys seal``
does both.  No secret is ever an argument or a temporary file: systemd-creds has it by pipes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gateway.config import Paths
from gateway.errors import Refused, Scope

CONDEMNED = ".destroy."
"""Before the name of a secret: an empty file in its service's directory, by which the service asks for its end."""

TPM, HOST = "tpm2", "host"
WAYS = {TPM: "au TPM", HOST: "à la clé de la machine"}
"""To what systemd-creds seals, and in words."""

_ID = "keys"
_PROBE = b"probe"


def given(name: str) -> Path:
    """Where systemd gives a secret to the service that runs."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), f"{_ID}_{name}")


def given_names() -> list[str]:
    """The names of all that systemd gives."""
    return sorted(path.name.removeprefix(f"{_ID}_") for path in given("").parent.glob(f"{_ID}_*"))


def condemned(paths: Paths, service: str, name: str) -> Path:
    """The word that a sealed secret is to be destroyed."""
    return paths.key(service, f"{CONDEMNED}{name}")


def secret_file(paths: Paths, service: str, name: str) -> Path:
    """Where a service reads a secret; a file that is not there where it has none of that name."""
    clear, sealed = paths.key(service, name), given(name)
    wins = not clear.exists() and not condemned(paths, service, name).exists() and sealed.exists()
    return sealed if wins else clear


# -- root's side


def stored(paths: Paths, service: str, name: str) -> bytes:
    """A secret as it is at rest, for a command of root: in clear, or opened here.  Refused KEY-002."""
    clear = paths.key(service, name)
    if not clear.exists() and (sealed := paths.credential(service, name)).exists():
        return decrypt(name, sealed.read_bytes())
    return clear.read_bytes()


def encrypt(name: str, content: bytes, way: str) -> bytes:
    """A secret sealed under its name, ``way`` being TPM or HOST, and shown to open again.  Refused KEY-001, KEY-002."""
    sealed = _creds(content, "encrypt", f"--with-key={way}", f"--name={_ID}_{name}")
    if decrypt(name, sealed) != content:
        raise Refused("KEY-002", f"{name} : ce que systemd-creds a scellé ne se rouvre pas tel quel.", Scope.BOX)
    return sealed


def decrypt(name: str, sealed: bytes) -> bytes:
    """What was sealed under that name on this machine.  Refused KEY-001, KEY-002."""
    return _creds(sealed, "decrypt", f"--name={_ID}_{name}")


def why_no_tpm() -> str:
    """'' where something sealed to the TPM opens again, else what systemd says."""
    try:
        encrypt("probe", _PROBE, TPM)
    except Refused as refusal:
        return refusal.text
    return ""


def _creds(content: bytes, verb: str, *options: str) -> bytes:
    try:
        done = subprocess.run(["systemd-creds", verb, *options, "-", "-"], input=content, capture_output=True)
    except FileNotFoundError:
        text = "systemd-creds manque : sceller les clés demande systemd 250 ou plus récent."
        raise Refused("KEY-001", text, Scope.BOX) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"code {done.returncode}"]
        raise Refused("KEY-002", f"systemd-creds {verb} : {said[-1].rstrip('.')}.", Scope.BOX)
    return done.stdout
