"""The card itself: one command in, one answer out, with the state that power keeps and power loses.

With contacts it is as strict as T=0 is: a command that carries data and a Le too is refused with 6700, an answer to a
command with data waits for GET RESPONSE, and anything else that comes first loses it.  Without contacts it speaks
T=1, takes no code and does what no code guards.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from gateway.card.sha256 import INITIAL
from virtual_cps import files
from virtual_cps.arithmetic import finish, raw_signature, state_of
from virtual_cps.codes import MOST_TRIES, Codes
from virtual_cps.der import tlv

ATR = bytes.fromhex("3BAC00402A001225006480000310009000")
ATR_CONTACTLESS = bytes.fromhex("3B8F80010031B86404B0ECC1739401808290000E")

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

    @classmethod
    def parse_t1(cls, apdu: bytes) -> Command:
        """A short command of T=1, whose Le may follow the data; ``p3`` is Le then (0: 256)."""
        cla, ins, p1, p2 = apdu[:4].ljust(4, b"\0")
        body = apdu[4:]
        if len(body) <= 1:
            return cls(cla, ins, p1, p2, body[0] if body else 0, b"")
        data, rest = body[1 : 1 + body[0]], body[1 + body[0] :]
        if len(data) != body[0] or len(rest) > 1:
            raise Status(0x6700)
        return cls(cla, ins, p1, p2, rest[0] if rest else 0, data)

    @property
    def sends(self) -> bool:
        return self.ins in _SENDS or (self.ins, self.p1, self.p2) == (0x2A, 0x9E, 0x9A)


@dataclass(frozen=True)
class Identity:
    """The two key pairs of a practitioner, and the technical one of the contactless application if it has one."""

    sign_key: rsa.RSAPrivateKey
    sign_certificate: Certificate
    login_key: rsa.RSAPrivateKey
    login_certificate: Certificate
    technical_key: rsa.RSAPrivateKey | None = None
    technical_certificate: Certificate | None = None


class VirtualCps:
    """A CPS3.  ``transmit`` is the card's whole face; ``reset`` is what power does to it."""

    def __init__(
        self,
        card_number: int,
        identity: Identity,
        codes: Codes,
        pin_each: bool = False,
        contactless: bool = False,
        update: bytes | None = None,
    ) -> None:
        """``pin_each``: the code serves for one signature; ``contactless``: it is spoken to by radio; ``update``: its
        EF_ACTUA, None where it never had an update."""
        technical = identity.technical_certificate
        self._files = files.tree(
            card_number,
            identity.sign_certificate.public_bytes(Encoding.DER),
            identity.login_certificate.public_bytes(Encoding.DER),
            technical.public_bytes(Encoding.DER) if technical else b"",
            codes.written,
            update,
        )
        self._keys = {files.SIGN_KEY: identity.sign_key, files.LOGIN_KEY: identity.login_key}
        if identity.technical_key:
            self._keys[files.TECHNICAL_KEY] = identity.technical_key
        self.codes = codes
        self._pin_each = pin_each
        self._contactless = contactless
        self._acts: dict[int, Callable[[Command], bytes]] = {
            0xA4: self._select,
            0xB0: self._read,
            0xD6: self._update,
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
        if self._contactless:
            return self._transmit_t1(tpdu)
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

    def _transmit_t1(self, apdu: bytes) -> bytes:
        try:
            command = Command.parse_t1(apdu)
            data = self._perform(command)
        except Status as status:
            return status.value.to_bytes(2, "big")
        return data + (b"\x62\x82" if command.ins == 0xB0 and len(data) < (command.p3 or 256) else b"\x90\x00")

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
        file, offset = self._addressed(command)
        self._allow(file.over_air if self._contactless else file.read)
        if offset > len(file.content):
            raise Status(0x6B00)
        return file.content[offset : offset + (command.p3 or 256)]

    def _update(self, command: Command) -> bytes:
        """UPDATE BINARY: within the file's size, and kept for good."""
        file, offset = self._addressed(command)
        self._allow(files.NEVER if self._contactless else file.update)
        if not command.data or offset + len(command.data) > len(file.content):
            raise Status(0x6B00)
        content = file.content[:offset] + command.data + file.content[offset + len(command.data) :]
        self._file = replace(file, content=content)
        self._files = tuple(self._file if one is file else one for one in self._files)
        self.codes.write(file.identifier, content)
        return b""

    def _addressed(self, command: Command) -> tuple[files.File, int]:
        """The current file, or the one whose short identifier is in P1, and the offset into it."""
        offset = command.p1 << 8 | command.p2
        if command.p1 & 0x80:
            short, offset = command.p1 & 0x1F, command.p2
            self._file = next((file for file in self._files if file.short == short), None)
            if self._file is None:
                raise Status(0x6A82)
        if self._file is None:
            raise Status(0x6986)
        return self._file, offset

    def _allow(self, rule: int) -> None:
        if rule != files.FREE and (rule != files.BY_PIN or files.PIN not in self._known):
            raise Status(0x6982)

    def _verify(self, command: Command) -> bytes:
        reference = command.p2
        if reference not in MOST_TRIES or self._contactless:
            raise Status(0x6A88)
        if not command.data:
            if reference in self._known:
                return b""
            raise Status(0x63C0 | self.codes.tries[reference])
        if not self.codes.tries[reference]:
            raise Status(0x6983)
        self._known.discard(reference)
        if not self.codes.offer(reference, command.data):
            raise Status(0x63C0 | self.codes.tries[reference])
        self._known.add(reference)
        return b""

    def _change(self, command: Command) -> bytes:
        length = {files.PIN: 4, files.PUK: 8}.get(command.p2)
        if length is None or self._contactless:
            raise Status(0x6A88)
        if len(command.data) != 2 * length:
            raise Status(0x6700)
        if not self.codes.tries[command.p2]:
            raise Status(0x6983)
        if not self.codes.offer(command.p2, command.data[:length]):
            raise Status(0x63C0 | self.codes.tries[command.p2])
        self.codes.replace(command.p2, command.data[length:])
        return b""

    def _unblock(self, command: Command) -> bytes:
        if (command.p1, command.p2) != (0x02, files.PIN):
            raise Status(0x6A86)
        if files.PUK not in self._known:
            raise Status(0x6982)
        if len(command.data) != 4:
            raise Status(0x6700)
        self.codes.replace(files.PIN, command.data)
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
                    tlv(0x9B, bytes([self.codes.tries[reference]])),
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
        if self._folder == files.MF:
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
        by_radio = self._folder == files.CONTACTLESS
        key = self._technical_key() if by_radio else self._key(0xA4, files.LOGIN_KEY, (0x02,))
        if not command.data or len(command.data) > 102:
            raise Status(0x6700)
        return raw_signature(key, command.data)

    def _technical_key(self) -> rsa.RSAPrivateKey:
        """The contactless application's key, which no code guards."""
        chosen = self._templates.get(0xA4, {})
        if chosen != {0x80: 0x02, 0x84: files.TECHNICAL_KEY} or files.TECHNICAL_KEY not in self._keys:
            raise Status(0x6985)
        return self._keys[files.TECHNICAL_KEY]

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
            state, done = state_of(begun[:32]), int.from_bytes(begun[32:], "big")
        self._digest = finish(state, done, tail)
        return b""

    def _sign(self, data: bytes) -> bytes:
        key = self._key(0xB6, files.SIGN_KEY, (0x42,))
        if self._digest is None or data:
            raise Status(0x6985)
        digest, self._digest = self._digest, None
        if self._pin_each:
            self._known.discard(files.PIN)
        return raw_signature(key, _SHA256_INFO + digest)

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
