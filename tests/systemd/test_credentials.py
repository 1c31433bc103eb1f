"""Keys sealed to a TPM, from end to end: the real services under the real units, the real systemd, swtpm.

A machine is booted whose services have their keys in clear.  ``gateway keys seal``, as its unit runs it, seals them;
the services go on with what systemd opens for them; what the keeper makes and gives up later is sealed and destroyed;
without that TPM nothing opens.  Then the disk of the machine is searched.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import swtpm
from development_pki import Pki
from gateway_root import Box, make_box
from machine import Machine, made_machine

from gateway.config import write_toml
from gateway.envelope.algorithms import public_key
from gateway.envelope.box_keys import BY_NAME, KEYS, LINE
from gateway.envelope.requests import mark, new_key
from gateway.process.identity import Identity

REPO = Path(__file__).parents[2]
SERVICES = ("forward", "intake", "keeper", "status")
TPM = Path("/run/tpm/tpm")

PROGRAM = """[Service]
Environment=PYTHONPATH=/opt/oct-gateway SYSTEMD_TPM2_DEVICE={device}
ExecStart=
ExecStart=/opt/oct-gateway/.venv/bin/python -m gateway {words}
"""
"""A program of the checkout, wherever that lies, in the place that its unit gives it."""

REFUSING = """ExecStartPre=/bin/sh -c 'test ! -e "$CREDENTIALS_DIRECTORY/keys_refused.key"'
"""
TPM_UNIT = f"""[Service]
RuntimeDirectory=tpm
ExecStart=/usr/bin/python3 -I /tpm_program.py /run/tpm {TPM}
ExecStartPost=/bin/sh -c 'until [ -S {TPM} ]; do sleep 0.05; done'
"""
DRIVE = f"""[Unit]
Wants=tpm.service
After=tpm.service
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I /sealing.py {" ".join(SERVICES)}
ExecStopPost=/usr/bin/systemctl poweroff
"""


@dataclass(frozen=True)
class Ran:
    """What was written down at each step, and what is found of the secrets on the disk: before the boot, at the end."""

    steps: dict[str, dict[str, Any]]
    made: str
    given_up: str
    before: set[str]
    after: set[str]


@pytest.fixture(scope="module")
def ran(pki: Pki) -> Iterator[Ran]:
    swtpm.need_swtpm()
    with made_machine() as machine:
        made, given_up = furnish(machine, make_box(machine.root), pki)
        folders = [machine.root / "etc/gateway/keys", machine.root / "later.key"]
        secrets = {
            path.name: path.read_bytes()
            for folder in folders
            for path in (folder, *folder.rglob("*"))
            if path.is_file()
        }
        before = found(machine.written, secrets)
        install(machine)
        machine.run("drive.service", 240)
        steps = {file.stem: json.loads(file.read_text()) for file in machine.out.glob("*.json")}
        yield Ran(steps, f"keeper/{made}", f"keeper/{given_up}", before, found(machine.written, secrets))


def furnish(machine: Machine, box: Box, pki: Pki) -> tuple[str, str]:
    """A box after its enrolment; the names of a key that the keeper is to make later, and of one to be given up."""
    paths, identity = box.paths, Identity(box.paths)
    for name in ("root", "oct-seal", "oct-sign", *(row.name for row in KEYS if not row.hosts)):
        shutil.copy(pki.directory / f"{name}.pem", paths.trust)
    chains = sorted((pki.directory / "chains").glob("*.pem"))
    (paths.trust / "chain.pem").write_bytes(b"".join(path.read_bytes() for path in chains))
    for row in (row for row in KEYS if row.owner):
        key = pki.key(row.name)
        identity.keep_key(row, key)
    identity.make_secrets()
    identity.keep_password(mark(public_key(pki.certificate(LINE))), "a password that stands nowhere else")
    row = BY_NAME["box-seal"]
    made, given_up = new_key(row), new_key(row)
    names = [f"{row.name}.{mark(key.public_key())}.key" for key in (made, given_up)]
    for key in (made, given_up):
        identity.keep_key(row, key)
    paths.key("keeper", names[0]).rename(machine.root / "later.key")
    (machine.root / "later.json").write_text(json.dumps({"made": names[0], "given up": names[1]}))
    (machine.root / "etc/gateway/gateway.toml").write_text(write_toml({"forward": {"host": "127.0.0.1", "port": 9}}))
    return names[0], names[1]


def install(machine: Machine) -> None:
    """The program in its place, the TPM, and what drives it all."""
    device = swtpm.device(TPM)
    machine.environment[swtpm.VARIABLE] = device
    machine.binds[REPO] = "/opt/oct-gateway"
    for file in (swtpm.PROGRAM, Path(__file__).with_name("sealing.py")):
        shutil.copy(file, machine.root)
    machine.add("tpm.service", TPM_UNIT)
    machine.add("drive.service", DRIVE)
    for name in SERVICES:
        text = PROGRAM.format(device=device, words=f"run {name}")
        machine.add(f"gateway-{name}.service.d/zz-test.conf", text + (REFUSING if name == "status" else ""))
    machine.add("gateway-keys.service.d/zz-test.conf", PROGRAM.format(device=device, words="keys seal"))
    machine.enable(*(file.name for file in machine.units.glob("gateway-*.socket")), "gateway.target")


def found(place: Path, secrets: dict[str, bytes]) -> set[str]:
    """The names of the secrets that a file below a place has: of a key, 18 bytes of the private number."""
    marks = {name: content.splitlines()[-3][:24] if b"PRIVATE" in content else content
             for name, content in secrets.items()}  # fmt: skip
    contents = (path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    return {name for content in contents for name, one in marks.items() if one in content}


ALIVE = dict.fromkeys(SERVICES, "active")


def test_the_services_start_with_what_lies_in_clear(ran: Ran) -> None:
    before = ran.steps["before"]
    assert before["active"] == ALIVE
    assert len(before["clear"]) == 10
    assert (before["sealed"], before["given"]) == ([], [])


def test_sealed_to_the_tpm_they_go_on_with_what_systemd_gives_them(ran: Ran) -> None:
    sealed = ran.steps["sealed"]
    assert sealed["exit"]["keys"] == "0"
    assert sealed["active"] == ALIVE
    assert sealed["clear"] == []
    assert sealed["sealed"] == sealed["given"] == ran.steps["before"]["clear"]


def test_what_is_made_later_is_sealed_and_what_is_given_up_destroyed(ran: Ran) -> None:
    later, before = ran.steps["later"], ran.steps["before"]["clear"]
    assert later["sealed"] == later["given"] == sorted({*before, ran.made} - {ran.given_up})
    assert later["active"]["keeper"] == "active"


def test_a_service_that_does_not_come_back_sealed_has_its_key_in_clear_again(ran: Ran) -> None:
    later = ran.steps["later"]
    assert later["exit"]["keys"] == "65"
    assert later["clear"] == ["status/refused.key"]
    assert later["active"] == ALIVE


def test_nothing_is_sealed_for_a_unit_that_systemd_has_not_read(ran: Ran) -> None:
    stale = ran.steps["not reloaded"]
    assert (stale["exit"]["keys"], stale["clear"]) == ("65", ["forward/new.key"])


def test_without_that_tpm_nothing_opens(ran: Ran) -> None:
    without = ran.steps["without"]
    assert without["exit"]["keeper"] == "243"
    assert without["active"]["keeper"] != "active"
    assert [name for name in without["given"] if name.startswith("keeper/")] == []


def test_the_disk_has_none_of_them(ran: Ran) -> None:
    assert len(ran.before) == 11
    assert ran.after == set()
