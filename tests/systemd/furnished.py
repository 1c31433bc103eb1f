"""A box at work: each thing made by the user whose it is, with the classes that make it."""

from __future__ import annotations

import hashlib
import os
import re

from gateway_root import PRACTICE, SYSTEMD, Box

from gateway.book.board import Board
from gateway.book.doors import Door
from gateway.book.moves import Book
from gateway.book.parts import Parts
from gateway.lan.folder import PracticeFolder
from gateway.services.keeper.lists import write_list

INTAKE, KEEPER, CARD, FORWARD, STATUS = "gw-intake", "gw-keeper", "gw-card", "gw-forward", "gw-status"

OFFERED, RETURNED, KEPT = b"sealed to the OCT", b"sealed to box-delivery", b"sealed to box-seal"


def name_of(part: bytes) -> str:
    """The file name of a part."""
    return hashlib.sha256(part).hexdigest()


def _umask_of(user: str) -> int:
    unit = (SYSTEMD / f"{user.replace('gw-', 'gateway-')}.service").read_text()
    return int(re.findall(r"^UMask=(\d+)$", unit, re.M)[0], 8)


UMASKS = {user: _umask_of(user) for user in (INTAKE, FORWARD)}
"""UMask= of their units, read now: the users of a test may not read a checkout of somebody's home."""


def furnish(box: Box) -> Board:
    """Put one thing of each kind where it lies; the board stays open for its caller to close."""
    paths = box.paths
    for file in (paths.trust / "box-seal.pem", box.root / "etc/gateway/gateway.toml"):
        file.write_bytes(b"public")
    for user, file in (
        (INTAKE, paths.key("intake", "box-delivery.key")),
        (KEEPER, paths.key("keeper", "box-seal.key")),
        (FORWARD, paths.key("forward", "box-transport.key")),
        (STATUS, paths.key("status", "box-lan-status.key")),
        (FORWARD, paths.transfers / "transfers.db"),
        (STATUS, paths.accounts / "accounts.db"),
    ):
        with box.acting_as(user):
            file.write_bytes(b"private")
    with box.acting_as(INTAKE):
        Door(paths.door("new")).put("fichier.f1", b"sealed to box-seal")
        os.umask(UMASKS[INTAKE])
        folder = PracticeFolder(paths.practice)
        folder.write_receipt("f1", {"rank": 1})
        folder.deliver("r1.1", "RSP_1.noe", lambda out: out.write(b"return"))
        folder.delivered("r1.1")
    with box.acting_as(PRACTICE):
        os.umask(0o007)  # a share for the group, README
        (folder.outbox / "B2_1.b2").write_bytes(b"claims")
    with box.acting_as(FORWARD):
        Door(paths.door("arrived")).put("sent.f1.1.1", b"{}")
        os.umask(UMASKS[FORWARD])
        paths.progress.write_bytes(b"{}")
    with box.acting_as(KEEPER):
        parts = Parts(paths.parts)
        files = {content: parts.file(parts.add_bytes(content).digest) for content in (OFFERED, RETURNED, KEPT)}
        Door(paths.door("outgoing")).link("f1.1.1", files[OFFERED])
        Door(paths.door("counter")).link("return.r1.1", files[RETURNED])
        Door(paths.door("counter")).put("word.f1.1", b"{}")
        Door(paths.door("notices")).put("mail.1", b"{}")
        write_list(paths.lists / "a1.crl", b"a list")
        book, board = Book(paths.book / "book.db"), Board(paths.board)
        board.rebuild(book)
        book.close()
    return board
