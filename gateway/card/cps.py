"""The CPS3, contact side: recognise it, read it, prove it, have it sign.

Duty: the commands of the IAS-ECC profile that a CPS3 answers, in the order it wants them.  The ATR is no proof
(other health cards share most of it): the serial file must name the issuer of the CPS.  Files are found by the
card's own pointers; certificate and key belong together by equal iD, and are chosen by key usage.

Rules: the tries left are read before a code is offered, and the last try is kept unless it is asked for; no
code is ever offered twice of one's own accord; PSO commands leave nothing behind that a second call needs.

It deliberately does not read the contactless application, and takes no data object of the trade apart: their
layouts are not established.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asn1crypto import core

from gateway.card import pinpad, pkcs15, tlv
from gateway.card.apdu import NO_FILE, PIN_BLOCKED, Answer, Apdu, Channel, StatusWord, Transmit
from gateway.card.failures import UPDATE
from gateway.card.models import model
from gateway.card.sha256 import hash_input
from gateway.errors import Refused, Scope

ISSUER = "8025000001"
"""Issuer of every CPS, at the head of EF.SN.ICC (official library)."""

_MF = bytes.fromhex("3F00")
_EF_SN = bytes.fromhex("3F00D003")
_EF_ACTUA = bytes.fromhex("3F00D010")
_EF_ODF = bytes.fromhex("5031")
_CONTACT = bytes.fromhex("E828BD080F8025000001FF0010")

MOST_READ = 0xE7
"""Bytes asked for at once, as the official library does."""

_RSA_PKCS1, _HASH_SHA256, _SIGN_SHA256 = 0x02, 0x40, 0x42
"""Algorithm references of IAS-ECC; the official library sends these whatever TokenInfo says."""

_Entry = TypeVar("_Entry")

_UPDATE, _UPDATE_DATES = 0xEC, (0x81, 0x82)
"""EF_ACTUA: one template with when the card's last update began and when it ended."""

_UNREADABLE = "Le numéro de série de la carte (EF.SN.ICC) est illisible : ce n'est pas une CPS."


@dataclass(frozen=True)
class Credential:
    """A key on the card and its X.509 certificate (DER)."""

    key: pkcs15.PrivateKey
    certificate: bytes


@dataclass(frozen=True)
class Contents:
    """What of a card never changes during its life: it may be kept by serial number."""

    serial: str
    pin: pkcs15.PinEntry
    puk: pkcs15.PinEntry | None
    authentication: Credential
    signature: Credential

    @property
    def certificates(self) -> tuple[bytes, bytes]:
        """Both certificates, the signature key's first."""
        return self.signature.certificate, self.authentication.certificate


def luhn(digits: str) -> bool:
    """Whether the last digit of ``digits`` is the Luhn check (ISO/IEC 7812-1 annex B) of the others."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def serial_number(file: bytes) -> str:
    """The card number and its check digit (9 digits) in EF.SN.ICC: ``5A 0A``, issuer, number, Luhn, F."""
    digits = file[2:12].hex()
    if len(file) < 12 or file[:2] != b"\x5a\x0a" or digits[-1] != "f" or not digits[:-1].isdigit():
        raise Refused("CPS-SERIAL", _UNREADABLE, Scope.CARD)
    number = digits[:-1]
    if not number.startswith(ISSUER):
        raise Refused("CPS-ISSUER", "La carte n'a pas été émise par l'émetteur des CPS.", Scope.CARD)
    if not luhn(number):
        raise Refused("CPS-LUHN", "La clé du numéro de série de la carte est fausse.", Scope.CARD)
    return number[len(ISSUER) :]


def update_ended(file: bytes) -> bool:
    """Whether EF_ACTUA holds both dates of a card update: fourteen BCD digits, YYYYMMDDhhmmss.  The official library
    takes a card for bad where either is none, a year before 1970 included."""
    dates = (tlv.find(file, _UPDATE, tag).hex() for tag in _UPDATE_DATES)
    return all(len(date) == 14 and date.isdecimal() and date >= "1970" for date in dates)


class Cps:
    """A CPS3 at the end of ``transmit``.  Each method is a whole sequence: hold a transaction around it."""

    def __init__(self, transmit: Transmit, atr: bytes) -> None:
        """Take the card if ``atr`` is that of a CPS3; Refused(CPS-FOREIGN | CPS-MODEL) otherwise."""
        self.model = model(atr)
        self._channel = Channel(transmit)

    def serial(self) -> str:
        """Nine digits of EF.SN.ICC, after issuer and Luhn are found right."""
        return serial_number(self._read(_EF_SN, "Numéro de série"))

    def check_update(self) -> None:
        """Refused(CPS-UPDATE) where an update of the card was begun and did not come to its end; a card that never had
        one has no EF_ACTUA."""
        act = "Date de mise à jour"
        try:
            file = self._read(_EF_ACTUA, act)
        except Refused as refused:
            if refused.code == NO_FILE:
                return
            raise
        if not update_ended(file):
            raise Refused(UPDATE, "La mise à jour de la carte a commencé et n'est pas allée à son terme.", Scope.CARD)

    def contents(self) -> Contents:
        """Follow the card's pointers to both key pairs and the code: some dozens of commands, once per card."""
        serial = self.serial()
        self._select_application()
        paths = pkcs15.directories(self._read(_EF_ODF, "Table des objets"))
        keys = self._directory(paths, pkcs15.PRIVATE_KEYS, pkcs15.private_keys)
        certificates = self._directory(paths, pkcs15.CERTIFICATES, pkcs15.certificates)
        pins = self._directory(paths, pkcs15.PINS, pkcs15.pins)
        pin = next((entry for entry in pins if not entry.unblocks), None)
        if pin is None:
            raise Refused("CPS-NO-PIN", "La carte ne déclare pas de code porteur.", Scope.CARD)
        return Contents(
            serial,
            pin,
            next((entry for entry in pins if entry.unblocks), None),
            self._credential("d'authentification", keys, certificates, _authenticates),
            self._credential("de signature", keys, certificates, _signs),
        )

    def pin_tries(self, pin: pkcs15.PinEntry) -> int:
        """The tries left of ``pin``, from its data object: asking costs no try."""
        self._select(0x09, _MF, "Racine")
        name = bytes([0xBF, 0x81, pin.reference, 0x02, 0xA0, 0x80])
        request = b"\x4d" + _counted(b"\x70" + _counted(name))
        reply = self._channel.ask(Apdu(0x00, 0xCB, 0x3F, 0xFF, request, 0), "Compteur du code porteur")
        left = tlv.find(reply, 0x70, 0xBF8100 | pin.reference, 0xA0, 0x9B)
        if not left:
            raise Refused("CPS-TRIES", "La carte ne dit pas combien d'essais il reste au code.", Scope.CARD)
        return int.from_bytes(left, "big")

    def verify(self, pin: pkcs15.PinEntry, code: bytes | bytearray, last_try: bool = False) -> None:
        """Offer ``code`` (ASCII digits) once.  Refused: CPS-PIN-FORM before the card is asked, CPS-LAST-TRY
        where one try is left and ``last_try`` is False, CPS-63C with the tries left, CPS-6983 when blocked."""
        _check_form(pin, code)
        self._check_tries(pin, last_try)
        self._channel.ask(Apdu(0x00, 0x20, 0x00, pin.reference, bytes(code)), pin.label or "Code porteur")

    def verify_on_pad(self, pin: pkcs15.PinEntry, carry_out: Transmit, last_try: bool = False) -> None:
        """Have the reader ask for the code on its own keys: ``carry_out`` gives the order to it and its answer back.
        Refused and Deferred as for ``verify``, or as ``pinpad.ANSWERS`` has it."""
        self._check_tries(pin, last_try)
        status = StatusWord(
            int.from_bytes(carry_out(pinpad.verify_order(pin.reference, pin.shortest, pin.longest))[-2:])
        )
        if not status.done:
            raise pinpad.trouble(status.value) or status.trouble(pin.label or "Code porteur")

    def change_pin(self, pin: pkcs15.PinEntry, old: bytes, new: bytes, last_try: bool = False) -> None:
        """Replace the code; Refused as for ``verify``."""
        _check_form(pin, new)
        self.verify(pin, old, last_try)
        self._channel.ask(Apdu(0x00, 0x24, 0x00, pin.reference, old + new), "Changement du code porteur")

    def unblock(
        self, pin: pkcs15.PinEntry, puk: pkcs15.PinEntry, code: bytes, new: bytes, last_try: bool = False
    ) -> None:
        """Give a blocked card the code ``new``, by the unblocking code; Refused as for ``verify``."""
        _check_form(pin, new)
        self.verify(puk, code, last_try)
        self._channel.ask(Apdu(0x00, 0x2C, 0x02, pin.reference, new), "Déblocage du code porteur")

    def data_objects(self) -> tuple[pkcs15.DataEntry, ...]:
        """What the card holds of the trade: identity, activities, billing; by the pointers of EF.DOD."""
        self._select_application()
        paths = pkcs15.directories(self._read(_EF_ODF, "Table des objets"))
        return tuple(self._directory(paths, pkcs15.DATA_OBJECTS, pkcs15.data_objects))

    def read_data(self, entry: pkcs15.DataEntry) -> bytes:
        """The bytes of ``entry`` as they are; Refused(CPS-6982) where it wants the code first."""
        self._select_application()
        return self._read(entry.path, entry.label)

    def authenticate(self, key: pkcs15.PrivateKey, digest_info: bytes) -> bytes:
        """INTERNAL AUTHENTICATE: the PKCS#1 v1.5 signature (256 bytes) of ``digest_info`` (RFC 8017 §9.2)."""
        act = "Authentification de la carte"
        self._select_application()
        template = bytes([0x80, 0x01, _RSA_PKCS1, 0x84, 0x01, key.reference])
        self._channel.ask(Apdu(0x00, 0x22, 0x41, 0xA4, template), act)
        return self._channel.ask(Apdu(0x00, 0x88, 0x00, 0x00, digest_info, 0), act)

    def sign(self, key: pkcs15.PrivateKey, message: bytes) -> bytes:
        """The RSA PKCS#1 v1.5 SHA-256 signature of ``message``, whose last block the card hashes itself."""
        act = "Signature"
        self._select_application()
        self._channel.ask(Apdu(0x00, 0x22, 0x41, 0xAA, bytes([0x80, 0x01, _HASH_SHA256])), act)
        state, bits, tail = hash_input(message)
        begun = b"" if state is None else state + bits.to_bytes(8, "big")
        data = b"\x90" + _counted(begun) + b"\x80" + _counted(tail)
        self._channel.ask(Apdu(0x00, 0x2A, 0x90, 0xA0, data), act)
        template = bytes([0x80, 0x01, _SIGN_SHA256, 0x84, 0x01, key.reference])
        self._channel.ask(Apdu(0x00, 0x22, 0x41, 0xB6, template), act)
        return self._channel.ask(Apdu(0x00, 0x2A, 0x9E, 0x9A, awaited=0), act)

    def _check_tries(self, pin: pkcs15.PinEntry, last_try: bool) -> None:
        left = self.pin_tries(pin)
        if left == 0:
            raise Refused(PIN_BLOCKED, "Le code de la carte est bloqué : débloquez-le.", Scope.CARD)
        if left == 1 and not last_try:
            text = "Il ne reste qu'un essai avant le blocage de la carte : le code n'a pas été présenté."
            raise Refused("CPS-LAST-TRY", text, Scope.CARD)

    def _credential(
        self,
        what: str,
        keys: Sequence[pkcs15.PrivateKey],
        certificates: Sequence[pkcs15.CertificateEntry],
        fits: Callable[[pkcs15.PrivateKey], bool],
    ) -> Credential:
        for key in filter(fits, keys):
            for entry in certificates:
                if entry.identifier == key.identifier:
                    return Credential(key, _whole(self._read(entry.path, entry.label), entry.label))
        raise Refused("CPS-NO-KEY", f"La carte n'a pas de clé {what} avec son certificat.", Scope.CARD)

    def _directory(
        self, paths: Mapping[int, list[bytes]], tag: int, entries: Callable[[bytes], tuple[_Entry, ...]]
    ) -> list[_Entry]:
        return [entry for path in paths.get(tag, ()) for entry in entries(self._read(path, "Table des objets"))]

    def _select_application(self) -> None:
        self._select(0x04, _CONTACT, "Application CPS")

    def _select(self, how: int, name: bytes, act: str) -> Answer:
        """SELECT by path (09), name (04) or identifier under the application (02); P2 04 asks for the FCP."""
        wants = 0x0C if how == 0x09 and name == _MF else 0x04
        answer = self._channel.send(Apdu(0x00, 0xA4, how, wants, name, 0))
        if not answer.status.done:
            raise answer.status.trouble(act)
        return answer

    def _read(self, path: bytes, act: str) -> bytes:
        """The whole of an elementary file: by absolute path, or by identifier under the current application."""
        fcp = self._select(0x09 if path.startswith(_MF) else 0x02, path, act).data
        size = int.from_bytes(tlv.find(fcp, 0x62, 0x80), "big")
        data = b""
        while len(data) < size:
            wanted = min(MOST_READ, size - len(data))
            offset = len(data).to_bytes(2, "big")
            part = self._channel.ask(Apdu(0x00, 0xB0, offset[0], offset[1], awaited=wanted), act)
            if not part:
                raise Refused("CPS-SHORT", f"{act} : la carte a rendu moins d'octets qu'annoncé.", Scope.CARD)
            data += part
        return data


def _authenticates(key: pkcs15.PrivateKey) -> bool:
    return "sign" in key.usage and "non_repudiation" not in key.usage


def _signs(key: pkcs15.PrivateKey) -> bool:
    return "non_repudiation" in key.usage


def _check_form(pin: pkcs15.PinEntry, code: bytes | bytearray) -> None:
    if not (code.isdigit() and pin.shortest <= len(code) <= pin.longest):
        digits = f"{pin.shortest} chiffres" if pin.shortest == pin.longest else "des chiffres"
        raise Refused("CPS-PIN-FORM", f"{pin.label or 'Le code'} : il faut {digits}.", Scope.CARD)


def _counted(value: bytes) -> bytes:
    """``value`` behind its length, which is always below 128 here."""
    return bytes([len(value)]) + value


def _whole(file: bytes, label: str) -> bytes:
    """The certificate at the head of ``file``, without the bytes that pad the file."""
    try:
        certificate: bytes = core.Sequence.load(file).dump()
    except ValueError as error:
        raise Refused("CPS-CERT", f"{label} : le certificat sur la carte est illisible.", Scope.CARD) from error
    return certificate
