"""The units: systemd accepts them, they are tight, and they agree with the program on every path and name."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from gateway_root import SYSTEMD
from machine import KINDS

from gateway.commands.sections import SERVICES
from gateway.concentrator.settings import ConcentratorSettings
from gateway.config import Paths
from gateway.envelope.box_keys import KEYS
from gateway.services.intake import IntakeSettings
from gateway.services.status import StatusSettings

PRACTICE_SERVICES = tuple(name for name in SERVICES if name != "concentrator")
EXECUTABLE = "opt/oct-gateway/.venv/bin/gateway"

OTHERS = ("gateway.target", "run-gateway-board.mount", "gateway-keys.service", "gateway-keys.timer")

EXPOSURE = {"intake": 5, "keeper": 8, "card": 7, "forward": 12, "status": 5, "concentrator": 12, "keys": 14}
"""Tenths of the worst exposure that systemd may see in each service; 96 is a unit without any hardening."""


def directives(file: Path) -> list[tuple[str, str]]:
    """Key and value of each line of a unit, in order."""
    lines = (line.partition("=") for line in file.read_text().splitlines() if "=" in line and line[0] not in "#;")
    return [(key.strip(), value.strip()) for key, _, value in lines]


def values(file: Path, *keys: str) -> list[str]:
    """The words given to some keys."""
    return [word for key, value in directives(file) if key in keys for word in value.split()]


def unit(service: str) -> Path:
    return SYSTEMD / f"gateway-{service}.service"


def made_by_tmpfiles(name: str = "gateway.conf") -> set[str]:
    """The directories of a tmpfiles.d file."""
    lines = (SYSTEMD / "tmpfiles.d" / name).read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("d ")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root directory with the units of Debian, ours, and something to execute."""
    made = tmp_path_factory.mktemp("root")
    shutil.copytree("/lib/systemd/system", made / "usr/lib/systemd/system", symlinks=True)
    (made / "lib").symlink_to("usr/lib")
    ours = shutil.ignore_patterns("*.d", "README.md", "polkit", "udev")
    shutil.copytree(SYSTEMD, made / "etc/systemd/system", ignore=ours)
    for folder in SYSTEMD.glob("*.service.d"):
        shutil.copytree(folder, made / "etc/systemd/system" / folder.name)
    executable = made / EXECUTABLE
    executable.parent.mkdir(parents=True)
    shutil.copy("/bin/true", executable)
    return made


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True)


def exposure(root: Path, service: str, threshold: int) -> bool:
    options = ("--offline=yes", "--no-pager", f"--root={root}", f"--threshold={threshold}")
    return analyze("security", *options, f"gateway-{service}.service").returncode == 0


def test_systemd_accepts_every_unit_without_a_word(root: Path) -> None:
    names = [file.name for file in SYSTEMD.iterdir() if file.suffix in KINDS]
    answer = analyze("verify", "--man=no", f"--root={root}", *names)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(names) == len(SERVICES) + len(SOCKETS) + len(OTHERS)


@pytest.mark.parametrize(("service", "worst"), EXPOSURE.items())
def test_no_service_is_more_exposed_than_it_was(root: Path, service: str, worst: int) -> None:
    assert exposure(root, service, worst)


@pytest.mark.parametrize("service", SERVICES)
def test_what_holds_for_every_service_is_said_once(service: str) -> None:
    """A drop-in is read after the unit and would silently win; but what is inaccessible only adds up."""
    common = {key for key, _ in directives(SYSTEMD / "gateway-.service.d/10-every-service.conf")}
    assert not (common - {"InaccessiblePaths"}) & {key for key, _ in directives(unit(service))}


def test_a_service_is_a_user_of_its_own() -> None:
    users = re.findall(r"^u (\S+)", "".join(f.read_text() for f in (SYSTEMD / "sysusers.d").iterdir()), re.M)
    assert sorted(users) == sorted(f"gw-{name}" for name in SERVICES)
    for name in SERVICES:
        assert values(unit(name), "User") == [f"gw-{name}"]
        assert dict(directives(unit(name)))["ExecStart"] == f"/{EXECUTABLE} run {name}"


def test_the_target_is_the_practice_s_box_and_not_the_receiving_end() -> None:
    for file in SYSTEMD.glob("gateway-*.s*t"):
        assert values(file, "PartOf", "WantedBy") == ["gateway.target", "gateway.target"]
    for name in PRACTICE_SERVICES:
        assert values(unit(name), "PartOf", "WantedBy") == ["gateway.target", "gateway.target"]
    assert values(unit("concentrator"), "PartOf", "WantedBy") == ["multi-user.target"]


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_line_and_the_receiving_end_have_a_network(service: str) -> None:
    families = set(values(unit(service), "RestrictAddressFamilies"))
    if service in ("forward", "concentrator"):
        assert families == {"AF_UNIX", "AF_INET", "AF_INET6"}
    else:
        assert (families, values(unit(service), "PrivateNetwork")) == ({"AF_UNIX"}, ["yes"])


PATHS = Paths()
SOCKETS = {
    "intake": ("intake", f"127.0.0.1:{IntakeSettings().port}", "intake", []),
    "status": ("status", f"127.0.0.1:{StatusSettings().port}", "status", []),
    "sign": ("card", str(PATHS.socket("sign")), "sign", ["gw-keeper", "0600"]),
    "unlock": ("card", str(PATHS.socket("unlock")), "unlock", ["gw-status", "0600"]),
    "keeper-status": ("keeper", str(PATHS.socket("status")), "status", ["gw-status", "0600"]),
    "admin": ("keeper", str(PATHS.socket("admin")), "admin", ["root", "0600"]),
}
"""Socket unit: its service, its address, the name under which the service asks for it, the one who may connect."""


@pytest.mark.parametrize(("socket", "expected"), SOCKETS.items())
def test_a_socket_has_one_service_and_one_client(socket: str, expected: tuple[str, str, str, list[str]]) -> None:
    file = SYSTEMD / f"gateway-{socket}.socket"
    service, address, name, client = expected
    assert values(file, "ListenStream", "FileDescriptorName", "Service") == [
        address, name, f"gateway-{service}.service",
    ]  # fmt: skip
    assert values(file, "SocketUser", "SocketMode") == client
    assert file.name in values(unit(service), "Sockets")


@pytest.mark.parametrize("service", PRACTICE_SERVICES)
def test_a_service_is_passed_the_sockets_that_its_code_asks_for(service: str) -> None:
    code = SERVICES[service].partition(":")[0].removeprefix("gateway.services.").split(".")[0]
    place = Path(__file__).parents[2] / "gateway/services" / code
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    asked = re.findall(r'\.(?:listener|inherited)\("(\w+)"', "".join(file.read_text() for file in files))
    passed = [name for owner, _, name, _ in SOCKETS.values() if owner == service]
    assert sorted(asked) == sorted(passed)


def test_every_place_of_the_program_is_made_and_has_an_owner() -> None:
    doors = [PATHS.door(name) for name in ("new", "outgoing", "arrived", "counter", "notices")]
    own = [PATHS.book, PATHS.parts, PATHS.transfers, PATHS.intake, PATHS.accounts, PATHS.board.parent, PATHS.lists]
    shared = [PATHS.state, PATHS.runtime, PATHS.practice, PATHS.keys, PATHS.trust, PATHS.progress.parent]
    assert {str(path) for path in (*doors, *own, *shared, PATHS.socket("sign").parent)} <= made_by_tmpfiles()


@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_names_no_path_that_nobody_makes(service: str) -> None:
    """A path that is missing would keep the service from starting."""
    keys = ("BindPaths", "BindReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "TemporaryFileSystem")
    named = {word.removesuffix(":ro") for word in values(unit(service), *keys) if not word.startswith("-")}
    made = made_by_tmpfiles() | (made_by_tmpfiles("gateway-concentrator.conf") if service == "concentrator" else set())
    assert named and named <= made


@pytest.mark.parametrize("service", PRACTICE_SERVICES)
def test_systemd_opens_for_a_service_its_own_sealed_keys(service: str) -> None:
    """A directory that is missing would keep the service from starting."""
    owns = any(row.owner == service for row in KEYS)
    directory = PATHS.credential(service, "")
    assert values(unit(service), "LoadCredentialEncrypted") == ([f"keys:{directory}"] if owns else [])
    assert (str(directory) in made_by_tmpfiles()) == owns


def test_the_keeper_has_one_writable_mount_so_that_it_can_link_parts_into_doors() -> None:
    own = [str(PATHS.trust), str(PATHS.keys / "keeper")]  # what it renews
    assert values(unit("keeper"), "ReadWritePaths", "BindPaths") == [str(PATHS.state), str(PATHS.board.parent), *own]


def test_the_board_is_mounted_as_tmpfiles_makes_it() -> None:
    line = next(
        line.split()
        for line in (SYSTEMD / "tmpfiles.d/gateway.conf").read_text().splitlines()
        if line.startswith(f"d {PATHS.board.parent} ")
    )
    mount = dict(directives(SYSTEMD / "run-gateway-board.mount"))
    assert mount["Where"] == str(PATHS.board.parent)
    assert f"mode={line[2]},uid={line[3]},gid={line[4]}" in mount["Options"]


def test_the_concentrator_may_write_what_it_writes() -> None:
    """Its base, and the list of its own authority, which it makes anew at half of its life."""
    settings = ConcentratorSettings()
    written = values(unit("concentrator"), "ReadWritePaths")
    assert {str(settings.directory), str(settings.enrolment.crl.parent)} == set(written)
