"""OpenSSH's own server on loopback, with a configuration, host key and account of its own; nothing of the machine's."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ports import free_port

from gateway.formats.landing import DEPOT, RETURNS

CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {root}/host
PidFile none
AuthorizedKeysFile {root}/authorized
StrictModes no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp -u 0007
"""


class Sshd:
    """One server; ``home`` is the landing directory that it serves, ``mine`` the private key it lets in."""

    def __init__(self, root: Path) -> None:
        self.root, self.home, self.mine = root, root / "landing", root / "mine"
        for room in (DEPOT, RETURNS):
            (self.home / room).mkdir(parents=True)
        self.user = getpass.getuser()
        self.port = free_port()
        self.make_key(self.mine)
        self.make_key(root / "host")
        (root / "authorized").write_text((root / "mine.pub").read_text())
        (root / "sshd_config").write_text(CONFIG.format(port=self.port, root=root))
        self._child: subprocess.Popen[bytes] | None = None

    def make_key(self, path: Path, kind: str = "ed25519") -> None:
        """A new key pair in place of an old one."""
        for old in (path, path.with_name(f"{path.name}.pub")):
            old.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)

    @property
    def host_key(self) -> str:
        """The server's public key, as it is pinned."""
        return (self.root / "host.pub").read_text()

    @property
    def log(self) -> str:
        """What the server said."""
        return (self.root / "log").read_text(errors="replace")

    def start(self) -> None:
        """Serve."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.root / "log").open("ab") as log:
            command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.root / "sshd_config")]
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise TimeoutError(self.log)

    def stop(self) -> None:
        """End the listener; sessions under way go on."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait(10)
            self._child = None

    @property
    def depot(self) -> dict[str, bytes]:
        """What lies in ``depot/``."""
        return {path.name: path.read_bytes() for path in (self.home / DEPOT).iterdir()}
