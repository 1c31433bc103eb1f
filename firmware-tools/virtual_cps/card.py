"""The card itself: one command in, one answer out, with the state that power keeps and power loses.

It is as strict as T=0 is: a command that carries data and a Le too is refused with 6700, an answer to a command
with data waits for GET RESPONSE, and anything else that comes first loses it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from gateway.card.sha256 import INITIAL, State, compress
from virtual_cps import files
from virtual_cps.codes import MOST_TRIES, Codes
from virtual_cps.der import tlv

ATR = bytes.fromhex("3BAC00402A001225006480000310009000")

_SHA256_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
_SDO_PIN, _SDO_KEY, _SDO_RULES = 0x81, 0x90, 0xFB
_SENDS = frozenset({0xB0, 0xC0, 0x84})
"""Instructions whose P3 is the length awaited."""


class Status(Exception):
    """An answer without data."""

    def __init__(self, value: int) -> None:
        super().__init__(f"{value:04X}")
        self.value = value


@dataclass(frozen=True)
class Command:
    """One TPDU taken apart; ``awaited`` is P3 where the card sends."""

    cla: int
    ins: int
    p1: int
    p2: int
    p3: int
    data: bytes

    @classmethod
    def parse(cls, tpdu: bytes) -> Command:
        """``tpdu`` under the rules of T=0; Status(6700) where lengths disagree."""
        cla, ins, p1, p2, p3 = tpdu[:5].ljust(5, b"\0")
        command = cls(cla, ins, p1, p2, p3, tpdu[5:])
        if command.data and len(command.data) != command.p3:
            raise Status(0x6700)
        if not command.data and command.p3 and not command.sends:
            raise Status(0x6700)
        return command

    @property
    def sends(self) -> bool:
        return self.ins in _SENDS or (self.ins, self.p1, self.p2) == (0x2A, 0x9E, 0x9A)


@dataclass(frozen=True)
class Identity:
    """The two key pairs of a practitioner."""

    sign_key: rsa.RSAPrivateKey
    sign_certificate: Certificate
    login_key: rsa.RSAPrivateKey
    login_certificate: Certificate


class VirtualCps:
    """A CPS3 with contacts.  ``transmit`` is the card's whole face; ``reset`` is what power does to it."""

    def __init__(self, card_number: int, identity: Identity, codes: Codes, pin_each: bool = False) -> None:
        self._files = files.tree(
            card_number,
            identity.sign_certificate.public_bytes(Encoding.DER),
            identity.login_certificate.public_bytes(Encoding.DER),
        )
        self._keys = {files.SIGN_KEY: identity.sign_key, files.LOGIN_KEY: identity.login_key}
        self._codes = codes
        self._pin_each = pin_each
        self._acts: dict[int, Callable[[Command], bytes]] = {
            0xA4: self._select,
            0xB0: self._read,
            0x20: self._verify,
            0x24: self._change,
            0x2C: self._unblock,
            0xCB: self._data,
            0x22: self._environment,
            0x88: self._authenticate,
            0x2A: self._operate,
            0x84: self._challenge,
        }
        self.reset()

    def reset(self) -> None:
        """Power off and on: nothing selected, no code known, no operation begun."""
        self._folder = files.MF
        self._file: files.File | None = None
        self._known: set[int] = set()
        self._templates: dict[int, dict[int, int]] = {}
        self._digest: bytes | None = None
        self._held = b""
        self._chained = b""

    def transmit(self, tpdu: bytes) -> bytes:
        """The answer to one TPDU: data and status word."""
        try:
            command = Command.parse(tpdu)
            if command.ins == 0xC0:
                return self._release(command.p3 or 256)
            self._held = b""
            data = self._perform(command)
        except Status as status:
            return status.value.to_bytes(2, "big")
        if command.sends:
            return self._short(data, command)
        if data:
            self._held = data
            return bytes([0x61, min(len(data), 256) & 0xFF])
        return b"\x90\x00"

    def _perform(self, command: Command) -> bytes:
        if command.cla & 0xEF:
            raise Status(0x6E00)
        if command.cla & 0x10:
            self._chained += command.data
            return b""
        whole = Command(command.cla, command.ins, command.p1, command.p2, command.p3, self._chained + command.data)
        self._chained = b""
        act = self._acts.get(command.ins)
        if act is None:
            raise Status(0x6D00)
        return act(whole)

    def _release(self, wanted: int) -> bytes:
        """GET RESPONSE."""
        if not self._held:
            raise Status(0x6985)
        if wanted > len(self._held):
            return bytes([0x6C, len(self._held) & 0xFF])
        part, self._held = self._held[:wanted], self._held[wanted:]
        return part + (bytes([0x61, min(len(self._held), 256) & 0xFF]) if self._held else b"\x90\x00")

    def _short(self, data: bytes, command: Command) -> bytes:
        """An answer to a command that carries Le: EOF where a file ends earlier, 6Cxx where a result is longer."""
        wanted = command.p3 or 256
        if command.ins == 0xB0:
            return data + (b"\x90\x00" if len(data) == wanted else b"\x62\x82")
        return data + b"\x90\x00" if len(data) == wanted else bytes([0x6C, len(data) & 0xFF])

    def _select(self, command: Command) -> bytes:
        if command.p2 not in (0x04, 0x0C) or command.p1 not in (0x00, 0x02, 0x04, 0x08, 0x09):
            raise Status(0x6A86)
        if command.p1 == 0x04:
            return self._select_name(command.data)
        path = [int.from_bytes(command.data[place : place + 2], "big") for place in range(0, len(command.data), 2)]
        if not path or len(command.data) % 2:
            raise Status(0x6A80)
        fcp = self._select_path(command.p1, path)
        return fcp if command.p2 == 0x04 else b""

    def _select_name(self, name: bytes) -> bytes:
        folders = {files.AID_CARD: files.MF, files.AID_CONTACT: files.CONTACT, files.AID_CONTACTLESS: files.CONTACTLESS}
        if name not in folders:
            raise Status(0x6A82)
        self._enter(folders[name])
        return b""

    def _enter(self, folder: int) -> None:
        if folder != self._folder:
            self._templates.clear()
        self._folder, self._file = folder, None

    def _select_path(self, how: int, path: list[int]) -> bytes:
        folder = self._folder if how == 0x02 else files.MF
        if path[0] == files.MF:
            path = path[1:]
        elif how == 0x00 and self._find(self._folder, path[-1]):
            folder = self._folder
        if path and path[0] in (files.CONTACT, files.CONTACTLESS) and how != 0x02:
            folder, path = path[0], path[1:]
        if not path:
            self._enter(folder)
            return files.folder_fcp(folder)
        found = self._find(folder, path[0])
        if found is None or len(path) > 1:
            raise Status(0x6A82)
        self._enter(folder)
        self._file = found
        return found.fcp()

    def _find(self, folder: int, identifier: int) -> files.File | None:
        return next((file for file in self._files if (file.folder, file.identifier) == (folder, identifier)), None)

    def _read(self, command: Command) -> bytes:
        offset = command.p1 << 8 | command.p2
        if command.p1 & 0x80:
            short, offset = command.p1 & 0x1F, command.p2
            self._file = next((file for file in self._files if file.short == short), None)
            if self._file is None:
                raise Status(0x6A82)
        if self._file is None:
            raise Status(0x6986)
        if self._file.read and files.PIN not in self._known:
            raise Status(0x6982)
        if offset > len(self._file.content):
            raise Status(0x6B00)
        return self._file.content[offset : offset + (command.p3 or 256)]

    def _verify(self, command: Command) -> bytes:
        reference = command.p2
        if reference not in MOST_TRIES:
            raise Status(0x6A88)
        if not command.data:
            if reference in self._known:
                return b""
            raise Status(0x63C0 | self._codes.tries[reference])
        if not self._codes.tries[reference]:
            raise Status(0x6983)
        self._known.discard(reference)
        if not self._codes.offer(reference, command.data):
            raise Status(0x63C0 | self._codes.tries[reference])
        self._known.add(reference)
        return b""

    def _change(self, command: Command) -> bytes:
        length = {files.PIN: 4, files.PUK: 8}.get(command.p2)
        if length is None:
            raise Status(0x6A88)
        if len(command.data) != 2 * length:
            raise Status(0x6700)
        if not self._codes.tries[command.p2]:
            raise Status(0x6983)
        if not self._codes.offer(command.p2, command.data[:length]):
            raise Status(0x63C0 | self._codes.tries[command.p2])
        self._codes.replace(command.p2, command.data[length:])
        return b""

    def _unblock(self, command: Command) -> bytes:
        if (command.p1, command.p2) != (0x02, files.PIN):
            raise Status(0x6A86)
        if files.PUK not in self._known:
            raise Status(0x6982)
        if len(command.data) != 4:
            raise Status(0x6700)
        self._codes.replace(files.PIN, command.data)
        return b""

    def _data(self, command: Command) -> bytes:
        """GET DATA of a security object: ``4D L 70 L BF class reference …``, and nothing else."""
        data = command.data
        if (
            (command.p1, command.p2) != (0x3F, 0xFF)
            or data[:1] != b"\x4d"
            or data[2:3] != b"\x70"
            or data[4:5] != b"\xbf"
        ):
            raise Status(0x6A80)
        kind, reference, part = data[5], data[6], data[8:9]
        if kind == _SDO_PIN and self._folder == files.MF and reference in MOST_TRIES:
            return self._pin_object(reference)
        if kind == _SDO_KEY and self._folder == files.CONTACT and reference | 0x80 in self._keys:
            return self._key_object(reference, part)
        if kind == _SDO_RULES and self._folder == files.MF and reference & 0x7F in (1, 3):
            code = files.PIN if reference & 0x7F == 1 else files.PUK
            rule = tlv(0xA4, tlv(0x95, b"\x08"), tlv(0x83, bytes([code])))
            return tlv(0x70, tlv(0xBFFB00 | reference, tlv(0x7B, rule)))
        raise Status(0x6A88)

    def _pin_object(self, reference: int) -> bytes:
        rules = {files.PIN: "F3000013FF00", files.PUK: "F3FF00FFFF00"}[reference]
        usage = b"" if reference == files.PIN else tlv(0x9C, b"\x64") + tlv(0x9D, b"\x64")
        return tlv(
            0x70,
            tlv(
                0xBF8100 | reference,
                tlv(
                    0xA0,
                    tlv(0x9A, bytes([MOST_TRIES[reference]])),
                    tlv(0x9B, bytes([self._codes.tries[reference]])),
                    usage,
                    tlv(0xA1, tlv(0x8C, bytes.fromhex(rules))),
                ),
            ),
        )

    def _key_object(self, reference: int, part: bytes) -> bytes:
        if part != b"\xa0":
            raise Status(0x6A80)
        sign, login, decipher = (0x11, 0xFF, 0xFF) if reference | 0x80 == files.SIGN_KEY else (0xFF, 0x11, 0x11)
        rules = bytes([0x70, sign, login, decipher])
        properties = tlv(0xA0, tlv(0x80, b"\x01\x00"), tlv(0xA1, tlv(0x8C, rules)))
        return tlv(0x70, tlv(0xBF9000 | reference, properties))

    def _environment(self, command: Command) -> bytes:
        """MSE SET: objects 80 (algorithm) and 84 (key) in any order, under the current application."""
        if command.p1 != 0x41 or command.p2 not in (0xA4, 0xAA, 0xB6, 0xB8):
            raise Status(0x6A86)
        if self._folder != files.CONTACT:
            raise Status(0x6985)
        triples = [command.data[place : place + 3] for place in range(0, len(command.data), 3)]
        if any(len(triple) != 3 or triple[0] not in (0x80, 0x84) or triple[1] != 1 for triple in triples):
            raise Status(0x6A80)
        self._templates[command.p2] = {triple[0]: triple[2] for triple in triples}
        return b""

    def _key(self, template: int, reference: int, algorithms: tuple[int, ...]) -> rsa.RSAPrivateKey:
        chosen = self._templates.get(template, {})
        if chosen.get(0x84) != reference or chosen.get(0x80) not in algorithms:
            raise Status(0x6985)
        if files.PIN not in self._known:
            raise Status(0x6982)
        return self._keys[reference]

    def _authenticate(self, command: Command) -> bytes:
        key = self._key(0xA4, files.LOGIN_KEY, (0x02,))
        if not command.data or len(command.data) > 102:
            raise Status(0x6700)
        return _raw_signature(key, command.data)

    def _operate(self, command: Command) -> bytes:
        operations = {(0x90, 0xA0): self._hash, (0x9E, 0x9A): self._sign, (0x80, 0x86): self._decipher}
        operation = operations.get((command.p1, command.p2))
        if operation is None:
            raise Status(0x6A86)
        return operation(command.data)

    def _hash(self, data: bytes) -> bytes:
        """PSO HASH: ``90 L [state, bits hashed] 80 L tail``; the card pads and does the last rounds."""
        if self._templates.get(0xAA, {}).get(0x80) != 0x40:
            raise Status(0x6985)
        begun, tail = data[2 : 2 + data[1]], data[4 + data[1] :]
        if data[0] != 0x90 or len(begun) not in (0, 40) or data[2 + data[1]] != 0x80 or len(tail) != data[3 + data[1]]:
            raise Status(0x6A80)
        if not 1 <= len(tail) <= 64:
            raise Status(0x6A80)
        state, done = INITIAL, 0
        if begun:
            state, done = _state(begun[:32]), int.from_bytes(begun[32:], "big")
        self._digest = _finish(state, done, tail)
        return b""

    def _sign(self, data: bytes) -> bytes:
        key = self._key(0xB6, files.SIGN_KEY, (0x42,))
        if self._digest is None or data:
            raise Status(0x6985)
        digest, self._digest = self._digest, None
        if self._pin_each:
            self._known.discard(files.PIN)
        return _raw_signature(key, _SHA256_INFO + digest)

    def _decipher(self, data: bytes) -> bytes:
        key = self._key(0xB8, files.LOGIN_KEY, (0x1A,))
        if data[:1] != b"\x81":
            raise Status(0x6A80)
        try:
            return key.decrypt(data[1:], padding.PKCS1v15())
        except ValueError:
            raise Status(0x6A80) from None

    def _challenge(self, command: Command) -> bytes:
        if command.p3 != 8:
            raise Status(0x6700)
        return os.urandom(8)


def _state(words: bytes) -> State:
    a, b, c, d, e, f, g, h = struct.unpack(">8I", words)
    return a, b, c, d, e, f, g, h


def _finish(state: State, done: int, tail: bytes) -> bytes:
    """The digest from ``state`` after ``done`` bits, with ``tail`` to come (FIPS 180-4 §5.1.1)."""
    bits = done + len(tail) * 8
    padded = tail + b"\x80" + bytes((55 - len(tail)) % 64) + bits.to_bytes(8, "big")
    for place in range(0, len(padded), 64):
        state = compress(state, padded[place : place + 64])
    return struct.pack(">8I", *state)


def _raw_signature(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """RSASP1 of the PKCS#1 type 1 block around ``block``, whatever it is: that is what the card signs."""
    numbers = key.private_numbers()
    size = key.key_size // 8
    padded = b"\x00\x01" + b"\xff" * (size - 3 - len(block)) + b"\x00" + block
    value = int.from_bytes(padded, "big")
    first, second = pow(value, numbers.dmp1, numbers.p), pow(value, numbers.dmq1, numbers.q)
    whole = second + numbers.q * ((first - second) * numbers.iqmp % numbers.p)
    return whole.to_bytes(size, "big")
