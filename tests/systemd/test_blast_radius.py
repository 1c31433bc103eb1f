"""Blast radius: what hostile code could read and alter in the place of each service, tried and held against a table.

The machine is booted with the real units; each service's program is replaced by ``hostile.py``, with the user and all
the walls of its unit.  docs/cloisonnement.md prints the table; ``--write`` on the command line of this file makes it
anew from what is expected here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from furnished import KEPT, furnish, name_of
from gateway_root import make_box
from machine import made_machine

SERVICES = ("intake", "keeper", "card", "forward", "status")
DOCUMENT = Path(__file__).parents[2] / "docs/cloisonnement.md"

STATE, RUN, KEYS, SRV = "/var/lib/gateway", "/run/gateway", "/etc/gateway/keys", "/srv/gateway"
CREDENTIALS = "/etc/gateway/credentials"
DOORS = f"{STATE}/doors"

FILES = {
    "outbox": f"{SRV}/outbox/B2_1.b2",
    "inbox": f"{SRV}/inbox/RSP_1.noe",
    "new": f"{DOORS}/new/fichier.f1",
    "outgoing": f"{DOORS}/outgoing/f1.1.1",
    "arrived": f"{DOORS}/arrived/sent.f1.1.1",
    "notices": f"{DOORS}/notices/mail.1",
    "counter": f"{DOORS}/counter/word.f1.1",
    "book": f"{STATE}/book/book.db",
    "lists": f"{STATE}/lists/a1.crl",
    "parts": f"{STATE}/parts/{name_of(KEPT)}",
    "transfers": f"{STATE}/transfers/transfers.db",
    "accounts": f"{STATE}/accounts/accounts.db",
    "board": f"{RUN}/board/board.db",
    "progress": f"{RUN}/forward/progress.json",
    "key of intake": f"{KEYS}/intake/box-delivery.key",
    "key of keeper": f"{KEYS}/keeper/box-seal.key",
    "key of forward": f"{KEYS}/forward/box-transport.key",
    "key of status": f"{KEYS}/status/box-lan-status.key",
    "sealed keys": f"{CREDENTIALS}/keeper/sealed.key",
    "given keys": "/run/credentials/gateway-keeper.service/keys_sealed.key",
    "settings": "/etc/gateway/gateway.toml",
    "trust": "/etc/gateway/trust/box-seal.pem",
    "program": "/opt/oct-gateway/program",
    "units": "/etc/systemd/system/gateway-keeper.service",
}
SOCKETS = {name: f"{RUN}/sockets/{name}.sock" for name in ("sign", "unlock", "status", "admin")}
SOCKETS |= {
    "pcscd": "/run/pcscd/pcscd.comm", "bus": "/run/dbus/system_bus_socket", "manager": "/run/systemd/private",
}  # fmt: skip

OWN, NOTHING = "rwp", ""
ALL = dict.fromkeys(SERVICES, "r")

TABLE: dict[str, tuple[str, dict[str, str]]] = {
    # What it is, and by service: r read, w alter what lies there, p put in, c connect, o connect out, l listen.
    "outbox": ("les dossiers du cabinet : fichiers déposés, en clair", {"intake": OWN}),
    "inbox": ("les dossiers du cabinet : retours, en clair", {"intake": OWN}),
    "new": ("porte new/ : scellé pour keeper seul", {"intake": OWN, "keeper": OWN}),
    "outgoing": ("porte outgoing/ : scellé pour le concentrateur", {"keeper": OWN, "forward": OWN}),
    "arrived": ("porte arrived/ : retours scellés, faits de la ligne", {"keeper": OWN, "forward": OWN}),
    "counter": ("porte counter/ : retours scellés pour le cabinet", {"intake": OWN, "keeper": OWN}),
    "notices": ("porte notices/ : avis sans donnée de santé", {"keeper": OWN, "forward": OWN}),
    "book": ("le livre, le journal", {"keeper": OWN}),
    "lists": ("les listes de révocation relevées", {"keeper": OWN, "forward": "r"}),
    "parts": ("les parties, scellées", {"keeper": OWN}),
    "transfers": ("les reprises de transfert", {"forward": OWN}),
    "accounts": ("les comptes de la page", {"status": OWN}),
    "board": ("le tableau, sans nom ni NIR", {"intake": "r", "keeper": OWN, "status": "r"}),
    "progress": ("l'avancement du transfert", {"intake": "r", "keeper": "r", "forward": OWN, "status": "r"}),
    "key of intake": ("les clés d'intake", {"intake": OWN}),
    "key of keeper": ("les clés de keeper", {"keeper": OWN}),
    "key of forward": ("les clés de forward", {"forward": OWN}),
    "key of status": ("les clés de status", {"status": OWN}),
    "sealed keys": ("les clés scellées, sur le disque", {}),
    "given keys": ("les clés que systemd ouvre pour keeper", {"keeper": "r"}),
    "settings": ("la configuration (aucun secret)", ALL),
    "trust": ("les certificats publics", ALL | {"keeper": OWN}),
    "program": ("le programme", ALL),
    "units": ("les unités systemd", ALL),
    "sign": ("sign.sock : offrir à signer, jamais le code", {"keeper": "c"}),
    "unlock": ("unlock.sock : donner un code à la carte", {"status": "c"}),
    "status": ("status.sock : ce que la page demande à keeper", {"status": "c"}),
    "admin": ("admin.sock : les commandes", {}),
    "pcscd": ("le lecteur de carte", {"card": "c"}),
    "network": ("le réseau", {"forward": "o"}),
    "others": ("les autres services : les voir, lire leur mémoire, les suivre, les arrêter", {}),
    "bus": ("le bus du système (D-Bus)", {}),
    "manager": ("systemd lui-même", {}),
    "netlink": ("parler au noyau (netlink)", {}),
    "packets": ("écouter le câble (paquets bruts)", {}),
    "shared memory": ("la mémoire partagée (/dev/shm)", {}),
    "become root": ("devenir root", {}),
    "mount": ("monter un système de fichiers", {}),
    "namespaces": ("entrer dans d'autres espaces de noms", {}),
    "set-user-id": ("laisser un programme set-user-id", {}),
    "devices": ("les disques bruts", {}),
    "clock": ("changer l'heure", {}),
    "host name": ("changer le nom de la machine", {}),
    "kernel log": ("le journal du noyau", {}),
    "kernel settings": ("les réglages du noyau", {}),
    "writable code": ("exécuter ce qu'il a écrit en mémoire", {}),
    "dump": ("laisser un vidage mémoire", {}),
    "home": ("les répertoires des personnes", {}),
}
OUTSIDE = (
    dict.fromkeys(FILES, OWN) | dict.fromkeys(SOCKETS, "c") | {"network": "ol", "others": "semvtk"}
    | dict.fromkeys(("given keys", "clock", "kernel log", "kernel settings"), NOTHING)
)  # fmt: skip
"""What the same code may without a unit's walls; what systemd gives one unit it hides from
every other with a /tmp of its own, and the last three are walls of the test's machine itself."""
WORDS = {"r": "lire", "w": "altérer", "p": "déposer", "c": "se connecter", "o": "sortir", "l": "écouter"}

HOSTILE = """[Unit]
Requires=furnish.service
After=furnish.service {after}
[Service]
Type=oneshot
RemainAfterExit=yes
Restart=no
WatchdogSec=0
ExecStart=
ExecStart=/usr/bin/python3 -I /hostile.py {name}
StandardOutput=file:/var/log/out/{name}.json
StandardError=file:/var/log/out/{name}.err
"""
VICTIM = """[Service]
User=gw-{name}
Environment=SECRET=planted
ExecStart=/bin/sleep 1000
"""
LISTENER = """[Service]
ExecStart=/usr/bin/python3 -c "import socket, time; here = socket.create_server(('127.0.0.1', 9)); time.sleep(1000)"
"""
ONCE = """[Unit]
After={after}
Wants={needs}
[Service]
Type=oneshot
ExecStart=/bin/sh {script}
"""
FURNISH = f"""cp -a /furnished-run/. {RUN}/
systemd-creds encrypt --with-key=host --name=keys_sealed.key /furnished.json {CREDENTIALS}/keeper/sealed.key
for name in {" ".join(SERVICES)}; do
  echo $name $(systemctl show --property=MainPID --value victim-$name)
done > /victims
"""


def attack() -> dict[str, dict[str, str]]:
    """By service, what its hostile code found to work; ``root`` is the same code without walls."""
    with made_machine() as machine:
        _furnish(machine.root)
        victims = [f"victim-{name}.service" for name in SERVICES]
        for name, victim in zip(SERVICES, victims, strict=True):
            machine.add(victim, VICTIM.format(name=name))
        machine.add("listener.service", LISTENER)
        needs = " ".join([*victims, "listener.service", "run-gateway-board.mount"])
        machine.add("furnish.service", ONCE.format(after=needs, needs=needs, script="/furnish"))
        after = "furnish.service"
        for name in SERVICES:
            machine.add(f"gateway-{name}.service.d/zz-hostile.conf", HOSTILE.format(name=name, after=after))
            after = f"gateway-{name}.service"  # one after the other: they try the same doors
        machine.add(
            "root.service", HOSTILE.format(name="root", after=after).replace("ExecStart=\n", "PrivateTmp=yes\n")
        )
        machine.add("end.service", ONCE.format(after="root.service", needs="root.service", script="/end"))
        sockets = [file.name for file in machine.units.glob("gateway-*.socket")]
        machine.enable(*sockets, *(f"gateway-{name}.service" for name in SERVICES), "gateway.target", "pcscd.socket")
        machine.run("end.service")
        return {name: json.loads((machine.out / f"{name}.json").read_text()) for name in (*SERVICES, "root")}


def _furnish(root: Path) -> None:
    """A box at work; what lies below /run is laid aside, since a boot begins with an empty /run."""
    program = root / "opt/oct-gateway/program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/true\n")
    furnish(make_box(root)).close()
    subprocess.run(["cp", "-a", root / "run/gateway", root / "furnished-run"], check=True)
    shutil.copy(Path(__file__).with_name("hostile.py"), root / "hostile.py")
    (root / "furnished.json").write_text(json.dumps({"files": FILES, "sockets": SOCKETS}))
    (root / "furnish").write_text(FURNISH)
    (root / "end").write_text("systemctl poweroff\n")


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    made = attack()
    print("\n".join(["", *table(made)]))  # shown by -s
    return made


@pytest.mark.parametrize("service", SERVICES)
def test_hostile_code_in_a_service_reaches_what_the_table_says_and_nothing_else(
    found: dict[str, dict[str, str]], service: str
) -> None:
    expected = {name: rights.get(service, NOTHING) for name, (_, rights) in TABLE.items()}
    assert found[service] == expected


def test_without_walls_the_same_code_does_it_all(found: dict[str, dict[str, str]]) -> None:
    """So that a no in the table is a wall's, and not the probe's own failure."""
    assert found["root"] == {name: OUTSIDE.get(name, "!") for name in TABLE}


def test_the_document_prints_the_table() -> None:
    assert DOCUMENT.read_text() == document()


def document() -> str:
    """The page for the auditor."""
    expected = {name: {thing: rights.get(name, NOTHING) for thing, (_, rights) in TABLE.items()} for name in SERVICES}
    return "\n".join([HEAD, *table(expected)]) + "\n"


def table(found: dict[str, dict[str, str]]) -> list[str]:
    """What each service may, as lines of Markdown."""
    lines = [f"| | {' | '.join(SERVICES)} |", "| --- |" + " --- |" * len(SERVICES)]
    for thing, (words, _) in TABLE.items():
        cells = (", ".join(WORDS.get(letter, "oui") for letter in found[name][thing]) or "–" for name in SERVICES)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


HEAD = """# Cloisonnement : ce qu'un service détourné pourrait lire et altérer

On suppose le pire : quelqu'un fait exécuter son propre code à la place d'un service. Que peut-il atteindre ? Le test
`tests/systemd/test_blast_radius.py` démarre une machine avec les vraies unités systemd, met à la place de chaque
service un programme hostile, sous le même utilisateur et entre les mêmes murs, et lui fait tout essayer. Ce tableau
est ce qui est attendu ; le test échoue dès qu'un service peut davantage, ou moins. Le même programme, sans les murs
d'une unité, réussit tout le reste : un « – » est donc bien l'effet d'un mur.

En clair, un service détourné voit :

- `intake` : les dossiers du cabinet, et les retours qui attendent d'être relevés (il a la clé qui les ouvre). Il
  n'altère rien de ce que `keeper` a déjà pris : ce qui est pris est une copie qu'il ne peut ni lire ni écrire.
- `keeper` : tout ce qu'il garde, car il a les clés qui l'ouvrent. Il n'a ni réseau par où l'envoyer, ni code porteur,
  et ne peut faire signer que ce que le praticien a vu et déverrouillé.
  Il remplace lui-même les certificats qu'il renouvelle : les certificats de confiance sont donc sous sa main, et le
  concentrateur, qui a les siens, n'en dépend pas.
- `card` : le code porteur pendant qu'il sert. Ni fichier, ni livre, ni réseau.
- `forward` : du scellé, dont il n'a aucune clé, et les certificats publics. C'est le seul à sortir ; il n'écoute pas.
- `status` : les codes tapés sur la page, les comptes, et ce que `keeper` veut bien répondre. Aucun contenu.

Ce que les murs n'empêchent pas : un service qui écrit quelque part (une porte, son propre dossier) peut y remplir le
disque. La page le dit (`BOX-002`, puis `BOX-006`) ; rien de ce qui est déjà pris n'est perdu, mais plus rien n'avance.

Hors du tableau : `gateway-keys`, root un instant par heure, sans réseau et avec le seul droit d'entrer dans les
dossiers des clés. Il n'y lit qu'un fichier fini du service à qui est le dossier, jamais à travers un lien, et ne
scelle que pour ce service : `tests/commands/test_commands_keys.py` le montre.
"""

if __name__ == "__main__":
    if "--write" in sys.argv:
        DOCUMENT.write_text(document())
    else:
        print("\n".join(table(attack())))
