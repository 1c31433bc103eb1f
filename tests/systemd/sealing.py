"""Root's part in the booted machine of test_credentials: the units seal; what there is at each step is written down.

By /usr/bin/python3 alone; /later.json names what the keeper gives up and what it makes later.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

SERVICES = sys.argv[1:]
UNITS = {name: f"gateway-{name}.service" for name in (*SERVICES, "keys")}
KEYS, CREDENTIALS, GIVEN, OUT = (
    Path(place) for place in ("/etc/gateway/keys", "/etc/gateway/credentials", "/run/credentials", "/var/log/out")
)


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True).stdout.strip()


def files(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.glob("*/*") if path.is_file())


def write_down(step: str) -> None:
    told = {
        "active": {name: systemctl("is-active", UNITS[name]) for name in SERVICES},
        "exit": {name: systemctl("show", "--value", "--property=ExecMainStatus", unit) for name, unit in UNITS.items()},
        "clear": files(KEYS),
        "sealed": files(CREDENTIALS),
        "given": [name.removeprefix("gateway-").replace(".service/keys_", "/") for name in files(GIVEN)],
    }
    (OUT / f"{step}.json").write_text(json.dumps(told))


def seal(step: str) -> None:
    systemctl("start", UNITS["keys"])
    systemctl("start", *(UNITS[name] for name in SERVICES))  # whatever is between two tries
    write_down(step)


def put(service: str, name: str, content: bytes = b"") -> None:
    """As the service itself would."""
    path, user = KEYS / service / name, pwd.getpwnam(f"gw-{service}")
    path.write_bytes(content)
    os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(0o400)


systemctl("start", *(UNITS[name] for name in SERVICES))
write_down("before")
seal("sealed")

later = json.loads(Path("/later.json").read_text())
put("keeper", later["made"], Path("/later.key").read_bytes())
Path("/later.key").unlink()
put("keeper", f".destroy.{later['given up']}")
put("status", "refused.key", b"with it the unit of this test does not start")
seal("later")

(KEYS / "status/refused.key").unlink()
put("forward", "new.key", b"a secret")
os.utime(f"/etc/systemd/system/{UNITS['forward']}")
seal("not reloaded")

systemctl("stop", "tpm.service")
systemctl("restart", UNITS["keeper"])
write_down("without")
