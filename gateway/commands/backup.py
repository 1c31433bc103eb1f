"""``gateway backup`` and ``gateway restore``: what a technician does with a USB stick, as root.

A backup is made while the box works.  A restore is made on a new box that was enrolled and whose services are
stopped; it is told what came back and what will be sent again.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.book import backup
from gateway.book.doors import Door
from gateway.book.restore import Place, restore
from gateway.commands.sections import add_config, installed
from gateway.commands.terminal import ask_secret
from gateway.config import Paths
from gateway.disk import LOCK, lock, sync_directory
from gateway.envelope.algorithms import PrivateKey
from gateway.envelope.certificates import load_key
from gateway.errors import Deferred, Scope, naming, os_words
from gateway.formats.days import iso
from gateway.formats.words import plural
from gateway.process.credentials import stored
from gateway.process.keyring import read_certificate
from gateway.services.forward.transfers import LAST_TRANSFER_ID, Transfers

SECRETS = {"fichier-ids.key": "intake", "pseudonym.key": "keeper"}
"""Secrets by which fichiers and patients are known again, and whose they are."""

JUMP = 4096
"""Transfers that the lost box cannot have begun since its backup."""


def register(subparsers: Any) -> None:
    """Add both commands."""
    saving = subparsers.add_parser("backup", help="sauvegarder la passerelle, scellée au certificat de recours")
    saving.add_argument("target", type=Path, metavar="SORTIE", help="fichier, ou dossier où le mettre")
    saving.set_defaults(act=save)
    restoring = subparsers.add_parser("restore", help="reprendre une sauvegarde sur une passerelle neuve")
    restoring.add_argument("source", type=Path, metavar="SAUVEGARDE", help="ce que « gateway backup » a écrit")
    restoring.add_argument(
        "--key", type=Path, action="append", required=True, metavar="FICHIER",
        help="clé de recours du cabinet (PEM) ; se répète s'il y en a eu plusieurs",
    )  # fmt: skip
    restoring.add_argument("--passphrase-file", type=Path, metavar="FICHIER", help="sa phrase secrète ; sinon demandée")
    restoring.set_defaults(act=take_up)
    for parser in (saving, restoring):
        add_config(parser)


# -- saving


def save(arguments: argparse.Namespace) -> int:
    """Write a backup under its final name only when it is whole and durable."""
    paths, now = installed(arguments.config), datetime.now(UTC)
    target: Path = arguments.target
    if target.is_dir():
        target /= f"{paths.box_id}-{now:%Y%m%d-%H%M%S}.sauvegarde"
    recovery = read_certificate(paths.trust / "recovery.pem")
    made = target.with_name(f".{target.name}")
    with _files(str(target)), _members(paths, iso(now)) as members:
        try:
            with made.open("wb") as out:
                backup.write_backup(members, out, recovery)
                out.flush()
                os.fsync(out.fileno())
            made.replace(target)
            sync_directory(target.parent)
        finally:
            made.unlink(missing_ok=True)
    print(f"{target} : {target.stat().st_size} octets, que seule la clé de recours du cabinet ouvre.")
    return 0


@contextmanager
def _members(paths: Paths, made: str) -> Iterator[list[backup.Member]]:
    """In the order in which a restore needs them; the door before the book, so that nothing falls between."""
    waiting = backup.waiting_at(Door(paths.door("new")))
    manifest = backup.Manifest(paths.box_id, made, _last_transfer(paths))
    with backup.aside(paths.book) as folder:
        book = folder / backup.BOOK
        backup.copy_book(paths.book / backup.BOOK, book)
        yield [
            backup.member(backup.MANIFEST, manifest.to_bytes()),
            backup.member_file(backup.BOOK, book),
            *(backup.member_file(name, path) for name, path in _beside(paths)),
            *(backup.member(f"secrets/{name}", stored(paths, service, name)) for name, service in SECRETS.items()),
            *waiting,
            *(backup.member_file(f"parts/{path.name}", path) for path in _kept(paths.parts, book)),
        ]


def _beside(paths: Paths) -> Iterator[tuple[str, Path]]:
    """What lies beside the book, if there is any: settings of run time, salts of the years."""
    if paths.settings.exists():
        yield backup.SETTINGS, paths.settings
    yield from ((f"{backup.YEARS}/{salt.name}", salt) for salt in sorted((paths.book / backup.YEARS).glob("*.salt")))


def _kept(parts: Path, book: Path) -> list[Path]:
    """The parts that cannot be made again; some were destroyed when their days were over."""
    with closing(sqlite3.connect(book)) as copy:
        named = copy.execute(
            "SELECT digest FROM parts WHERE role <> 'sealed' UNION SELECT delivery FROM returns WHERE picked = ''"
            " UNION SELECT id FROM returns ORDER BY 1"
        ).fetchall()
    return [path for (digest,) in named if digest and (path := parts / digest).is_file()]


def _last_transfer(paths: Paths) -> int:
    file = paths.transfers / "transfers.db"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as transfers:
        return int(transfers.execute("SELECT last FROM numbers").fetchone()[0])


# -- restoring


def take_up(arguments: argparse.Namespace) -> int:
    """Make this box out of a backup."""
    paths = installed(arguments.config)
    trust = paths.trust
    present = {name: read_certificate(trust / f"{name}.pem") for name in ("box-seal", "box-delivery", "recovery")}
    with _files(str(arguments.source)):
        keys = [read_recovery_key(path, arguments.passphrase_file) for path in arguments.key]
        place = Place(
            book=paths.book, parts=paths.parts, new=paths.door("new"),
            secret=lambda name: paths.key(SECRETS[name], name),
            fichiers=(present["box-seal"], present["recovery"]),
            returns=(present["box-delivery"], present["recovery"]),
        )  # fmt: skip
        with arguments.source.open("rb") as source, lock(paths.book / LOCK):
            restored = restore(source, keys, place)
    _jump_transfers(paths, restored.manifest.transfer)
    made = f"{restored.manifest.box}, sauvegardée le {restored.manifest.made}"
    print(
        f"{made} : {plural(restored.fichiers, 'fichier')}, dont {len(restored.again)} à sceller et envoyer de nouveau."
    )
    if restored.lost:
        print(
            f"{plural(restored.lost, 'retour')} ne s'ouvre pas avec la clé de recours : à redemander au concentrateur."
        )
    return 0


def read_recovery_key(path: Path, passphrase_file: Path | None) -> PrivateKey:
    """A recovery key; its passphrase is asked for where no file has it."""
    with _files(str(path)):
        content = path.read_bytes()
    with _files(str(passphrase_file)):
        phrase = passphrase_file.read_bytes().rstrip(b"\r\n") if passphrase_file else None
    if phrase is None and b"ENCRYPTED" in content:
        phrase = ask_secret(f"Phrase secrète de la clé de recours {path.name}").encode()
    with naming(path):
        return load_key(content, phrase)


def _jump_transfers(paths: Paths, last: int) -> None:
    """forward's memory begins anew, with numbers (PI 13) that the lost box has not used."""
    for file in paths.transfers.glob("transfers.db*"):
        file.unlink()
    Transfers.begin_after(paths.transfers, (last + JUMP) % LAST_TRANSFER_ID)
    owner = paths.transfers.stat()
    for file in paths.transfers.iterdir():
        os.chown(file, owner.st_uid, owner.st_gid)


@contextmanager
def _files(name: str) -> Iterator[None]:
    """What the disk or the stick refuses, in words."""
    try:
        yield
    except OSError as error:
        what = error.filename or name
        raise Deferred("BAK-006", f"{what} : {os_words(error)}.", Scope.BOX) from None
