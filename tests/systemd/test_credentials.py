"""A key that systemd decrypts for one service: readable by it, within its unit's walls, and on the disk by nobody."""

from __future__ import annotations

import json

from gateway_root import make_box
from machine import made_machine

SECRET = "a private key"
ENCRYPT = """systemd-creds setup
systemd-creds encrypt --with-key=host --name=box-seal.key /plain /etc/gateway/keys/box-seal.cred && rm /plain
"""
MAKE = """[Service]
Type=oneshot
ExecStart=/bin/sh /encrypt
"""
READ = """import json, os, sys
from pathlib import Path
given = Path(os.environ["CREDENTIALS_DIRECTORY"], "box-seal.key")
stored = Path("/etc/gateway/keys/box-seal.cred")
json.dump([os.getuid(), given.read_text(), stored.exists()], sys.stdout)
"""
KEEPER = """[Unit]
Requires=make.service
After=make.service
[Service]
Type=oneshot
RemainAfterExit=yes
Restart=no
WatchdogSec=0
LoadCredentialEncrypted=box-seal.key:/etc/gateway/keys/box-seal.cred
ExecStart=
ExecStart=/usr/bin/python3 -I /read.py
StandardOutput=file:/var/log/out/read.json
"""
END = """[Unit]
Wants=gateway-keeper.service
After=gateway-keeper.service
[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl poweroff
"""


def test_the_keeper_gets_a_key_that_lies_on_the_disk_encrypted() -> None:
    with made_machine() as machine:
        box = make_box(machine.root)
        for name, text in (("plain", SECRET), ("encrypt", ENCRYPT), ("read.py", READ)):
            (machine.root / name).write_text(text)
        machine.add("make.service", MAKE)
        machine.add("gateway-keeper.service.d/zz-credential.conf", KEEPER)
        machine.add("end.service", END)
        machine.run("end.service")
        uid, given, stored_in_reach = json.loads((machine.out / "read.json").read_text())
        assert (uid, given, stored_in_reach) == (box.users["gw-keeper"].uid, SECRET, False)
        assert not (machine.root / "plain").exists()
        assert SECRET.encode() not in (machine.root / "etc/gateway/keys/box-seal.cred").read_bytes()
