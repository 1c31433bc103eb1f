"""Two network namespaces, a wire between them, and strongSwan's charon at each end: the practice and an OCT.

The practice's charon reads the template of docs/ipsec.md, word for word.  ESP is charon's own (kernel-libipsec, always
inside UDP 4500), whatever the kernel can do, so that the test is the same on every machine.  Needs root.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from development_pki import Pki
from line_certificates import make_leaf

PAGE = Path(__file__).parents[1] / "docs" / "ipsec.md"
BOX, OCT = "box-0001.boites.example", "oct.example"
PLACES = {"box": "203.0.113.1", "oct": "203.0.113.10"}
PORT = 5100
PLUGINS = Path("/usr/lib/ipsec/plugins")
CLONE_NEWNET = 0x40000000
EVERY_PROTOCOL = 3
START_S, PATIENCE_S = 20.0, 30.0

CHARON = """
charon-systemd {{
    load = random nonce x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl kdf gcm hmac \
kernel-libipsec kernel-netlink socket-default vici
    filelog {{ log {{ path = {root}/log
        flush_line = yes
    }} }}
    plugins {{
        vici {{ socket = unix://{root}/vici }}
        # the OCT's address is in its own tunnel: what charon sends itself is marked and goes beside it
        kernel-libipsec {{ allow_peer_ts = yes }}
        kernel-netlink {{ fwmark = !0x42 }}
        socket-default {{ fwmark = 0x42 }}
    }}
}}
swanctl {{ load = pem pkcs1 pkcs8 x509 openssl random pubkey
}}
"""

# What an OCT would write: it waits for the box, and takes nothing that the template does not propose.
OCT_SIDE = f"""
connections {{
    boxes {{
        version = 2
        remote_addrs = %any
        proposals = aes256gcm16-prfsha384-ecp384
        send_cert = always
        local {{
            auth = pubkey
            certs = oct-ipsec.pem
            id = "{OCT}"
        }}
        remote {{
            auth = pubkey
            cacerts = boites.pem
            id = "{BOX}"
            revocation = strict
        }}
        children {{
            boxes {{
                local_ts = {PLACES["oct"]}/32[tcp/{PORT}]
                remote_ts = dynamic[tcp]
                esp_proposals = aes256gcm16-ecp384
            }}
        }}
    }}
}}
"""


def missing() -> str:
    """Why no tunnel can be built here; empty where one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not all(map(shutil.which, ("charon-systemd", "swanctl", "ip"))):
        return "no strongSwan here (make ipsec installs it)"
    if not (PLUGINS / "libstrongswan-kernel-libipsec.so").exists():
        return "strongSwan without kernel-libipsec (make ipsec installs libcharon-extra-plugins)"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    return ""


def template() -> str:
    """The configuration that docs/ipsec.md tells a practice to write."""
    found = re.search(r"```conf\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread's new sockets belong to ``namespace``."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{namespace}").open() as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


class Listener:
    """Hears every frame on the wire between the two, like a stranger at the provider's."""

    def __init__(self, namespace: str) -> None:
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: nothing may be missed
        self._socket.bind(("wire", 0))
        self._socket.setblocking(False)

    def heard(self) -> list[bytes]:
        """The IPv4 packets since the last call, headers included; none was dropped."""
        frames = []
        while True:
            try:
                frames.append(self._socket.recv(1 << 17))
            except BlockingIOError:
                break
        dropped = int.from_bytes(self._socket.getsockopt(263, 6, 8)[4:], "little")  # SOL_PACKET, PACKET_STATISTICS
        assert dropped == 0
        return [frame[14:] for frame in frames if frame[12:14] == b"\x08\x00"]

    def close(self) -> None:
        self._socket.close()


def kind(packet: bytes) -> str:
    """What a stranger can call an IPv4 packet: ``IKE``, ``ESP``, ``keepalive``, else its protocol's number."""
    protocol, segment = packet[9], packet[(packet[0] & 15) * 4 :]
    if protocol != socket.IPPROTO_UDP:
        return "ESP" if protocol == socket.IPPROTO_ESP else str(protocol)
    ports, content = {segment[0:2], segment[2:4]}, segment[8:]
    if ports == {(500).to_bytes(2, "big")}:
        return "IKE"
    if ports != {(4500).to_bytes(2, "big")}:
        return "UDP"
    if content == b"\xff":  # RFC 3948 2.3
        return "keepalive"
    return "IKE" if content[:4] == bytes(4) else "ESP"  # RFC 3948 2.2: the non-ESP marker


class End:
    """One end of the wire: its namespace and its charon."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name, self.namespace = root / name, name, f"oct-{os.getpid()}-{name}"
        self._charon: subprocess.Popen[bytes] | None = None
        for place in ("private", "x509", "x509ca", "x509crl"):
            (self.root / place).mkdir(parents=True)
        (self.root / "strongswan.conf").write_text(CHARON.format(root=self.root))

    def equip(self, pki: Pki, under: str, host: str, lists: list[bytes]) -> Path:
        """The certificate of the tunnel, its authorities and the revocation lists, where swanctl looks for them."""
        made = make_leaf(pki, under, self.root / f"{self.name}-ipsec.pem", host, hosts=[host])
        made.with_suffix(".key").rename(self.root / "private" / f"{made.stem}.key")
        for authority in ("root", "chains/boites", "chains/oct"):
            source = pki.directory / f"{authority}.pem"
            shutil.copy(source, self.root / "x509ca" / source.name)
        for number, held in enumerate(lists):
            (self.root / "x509crl" / f"{number}.crl").write_bytes(held)
        return made.rename(self.root / "x509" / made.name)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "STRONGSWAN_CONF": str(self.root / "strongswan.conf"), "SWANCTL_DIR": str(self.root)}

    def start(self, configuration: str) -> None:
        """charon runs and has loaded ``configuration`` without a complaint."""
        (self.root / "swanctl.conf").write_text(configuration)
        self._charon = subprocess.Popen(
            self.command("charon-systemd"), env=self._environment,
            stdout=subprocess.DEVNULL, stderr=(self.root / "stderr").open("wb"),
        )  # fmt: skip
        until = time.monotonic() + START_S
        while not (self.root / "vici").exists():
            assert self._charon.poll() is None, (self.root / "stderr").read_text()
            assert time.monotonic() < until, self.log
            time.sleep(0.02)
        loaded = self.swanctl("--load-all")
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr

    def swanctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["swanctl", *arguments, "--uri", f"unix://{self.root}/vici"], env=self._environment,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        """The command line of a program that runs at this end."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def stop(self) -> None:
        if self._charon is not None:
            self._charon.terminate()
            self._charon.wait(PATIENCE_S)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def two_ends(root: Path) -> Iterator[tuple[End, End]]:
    """The practice and the OCT, a wire between their namespaces; no charon runs yet."""
    ends = End(root, "box"), End(root, "oct")
    try:
        for end in ends:
            ip("netns", "add", end.namespace)
        wire = ("type", "veth", "peer", "name", "wire", "netns", ends[1].namespace)
        ip("link", "add", "wire", "netns", ends[0].namespace, *wire)
        for end in ends:
            ip("-n", end.namespace, "addr", "add", f"{PLACES[end.name]}/24", "dev", "wire")
            ip("-n", end.namespace, "link", "set", "wire", "up")
            ip("-n", end.namespace, "link", "set", "lo", "up")
        yield ends
    finally:
        for end in ends:
            end.stop()
            subprocess.run(["ip", "netns", "del", end.namespace], check=False, stderr=subprocess.DEVNULL)
