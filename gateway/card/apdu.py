"""Commands to a card and its answers, under the rules of protocol T=0.

Duty: turn a command into the TPDUs that T=0 wants (ISO 7816-3 §10, ISO 7816-4 §5): a command that sends and
awaits data goes out *without* Le; 61xx is followed by GET RESPONSE, 6Cxx by the same command with the right
length (never one that carries data: a code would be offered twice); more than 255 bytes go out as a chain.  What a
status word means is one row of ``STATUS``.

It deliberately knows neither the CPS nor the reader: bytes go through a ``Transmit`` function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gateway.errors import Deferred, Refused, Scope, Trouble

Transmit = Callable[[bytes], bytes]
"""One TPDU out, the card's data and status word back."""

LARGEST_ANSWER = 65_536
"""Beyond this a card that keeps saying 61xx is not a card."""

_CHAINED = 0x10
_MOST_DATA = 255


@dataclass(frozen=True)
class Apdu:
    """A command: header, data to send, and the number of bytes awaited (None: none, 0: up to 256)."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    awaited: int | None = None

    def tpdu(self) -> bytes:
        """The bytes that T=0 sends: P3 is Lc where there is data, else Le, else zero."""
        header = bytes([self.cla, self.ins, self.p1, self.p2])
        if self.data:
            return header + bytes([len(self.data)]) + self.data
        return header + bytes([(self.awaited or 0) & 0xFF])


@dataclass(frozen=True)
class StatusWord:
    """The two bytes that end every answer."""

    value: int

    @property
    def done(self) -> bool:
        return self.value == 0x9000

    @property
    def tries(self) -> int | None:
        """The tries that 63Cx leaves; None for any other status."""
        return self.value & 0xF if self.value & 0xFFF0 == 0x63C0 else None

    def trouble(self, act: str) -> Trouble:
        """What this status means for ``act`` (a French noun phrase), by its row of ``STATUS``."""
        row = next(row for row in STATUS if self.value & row.mask == row.value)
        text = row.text.format(act=act, tries=self.tries, status=f"{self.value:04X}")
        return row.kind(row.code, text, Scope.CARD)


@dataclass(frozen=True)
class Row:
    """One line of the table of status words: ``word & mask == value`` means ``kind(code, text)``."""

    mask: int
    value: int
    kind: type[Refused] | type[Deferred]
    code: str
    text: str


PIN_WRONG, PIN_NEEDED, PIN_BLOCKED = "CPS-63C", "CPS-6982", "CPS-6983"
NO_FILE = "CPS-6A82"

STATUS = (
    Row(0xFFFF, 0x6282, Deferred, "CPS-6282", "{act} : la carte a rendu un fichier plus court qu'annoncé"),
    Row(0xFFFF, 0x63C0, Refused, PIN_BLOCKED, "{act} : le code porteur de la carte est bloqué"),
    Row(0xFFF0, 0x63C0, Refused, PIN_WRONG, "{act} : code refusé par la carte, essais restants : {tries}"),
    Row(0xFF00, 0x6400, Deferred, "CPS-64", "{act} : la carte n'a pas pu exécuter la commande ({status})"),
    Row(0xFF00, 0x6500, Refused, "CPS-65", "{act} : la mémoire de la carte est défaillante ({status})"),
    Row(0xFFFF, 0x6700, Refused, "CPS-6700", "{act} : longueur refusée par la carte"),
    Row(0xFFFF, 0x6982, Refused, PIN_NEEDED, "{act} : la carte demande le code porteur"),
    Row(0xFFFF, 0x6983, Refused, PIN_BLOCKED, "{act} : le code porteur de la carte est bloqué"),
    Row(0xFFFF, 0x6985, Refused, "CPS-6985", "{act} : conditions d'emploi de la carte non remplies"),
    Row(0xFFFF, 0x6986, Refused, "CPS-6986", "{act} : aucun fichier n'est choisi sur la carte"),
    Row(0xFFFF, 0x6A80, Refused, "CPS-6A80", "{act} : données refusées par la carte"),
    Row(0xFFFF, 0x6A82, Refused, NO_FILE, "{act} : fichier absent de la carte"),
    Row(0xFFFF, 0x6A86, Refused, "CPS-6A86", "{act} : paramètres refusés par la carte"),
    Row(0xFFFF, 0x6A88, Refused, "CPS-6A88", "{act} : objet absent de la carte"),
    Row(0xFFFF, 0x6D00, Refused, "CPS-6D00", "{act} : commande inconnue de la carte"),
    Row(0xFFFF, 0x6E00, Refused, "CPS-6E00", "{act} : classe de commande inconnue de la carte"),
    Row(0x0000, 0x0000, Deferred, "CPS-SW", "{act} : la carte a répondu {status}"),
)
"""Status words of cards (ISO 7816-4 table 5; those that a CPS3 is known to give); the last row takes the rest."""


@dataclass(frozen=True)
class Answer:
    """What a card answered: the data of all GET RESPONSE together, and the last status word."""

    data: bytes
    status: StatusWord


class Channel:
    """A line to one card, over which whole commands go."""

    def __init__(self, transmit: Transmit) -> None:
        self._transmit = transmit

    def send(self, command: Apdu) -> Answer:
        """Send ``command`` and give the card's answer, whatever its status."""
        *first, last = _chain(command)
        for part in first:
            answer = self._tpdu(part.tpdu())
            if not answer.status.done:
                return answer
        answer = self._tpdu(last.tpdu())
        if answer.status.value >> 8 == 0x6C and not last.data:
            answer = self._tpdu(replace(last, awaited=answer.status.value & 0xFF).tpdu())
        return self._collect(command, answer)

    def ask(self, command: Apdu, act: str) -> bytes:
        """Send ``command``; its data where the card says 9000, else the Trouble of the status word."""
        answer = self.send(command)
        if not answer.status.done:
            raise answer.status.trouble(act)
        return answer.data

    def _collect(self, command: Apdu, answer: Answer) -> Answer:
        data = answer.data
        while answer.status.value >> 8 == 0x61:
            if len(data) > LARGEST_ANSWER:
                raise Refused("CPS-LONG", "La carte répond sans fin : ce n'est pas une CPS.", Scope.CARD)
            more = Apdu(command.cla & ~_CHAINED, 0xC0, 0, 0, awaited=answer.status.value & 0xFF)
            answer = self._tpdu(more.tpdu())
            if answer.status.value >> 8 == 0x6C:
                answer = self._tpdu(replace(more, awaited=answer.status.value & 0xFF).tpdu())
            if answer.status.value >> 8 == 0x61 and not answer.data:
                raise Refused("CPS-LONG", "La carte annonce une réponse vide : ce n'est pas une CPS.", Scope.CARD)
            data += answer.data
        return Answer(data, answer.status)

    def _tpdu(self, tpdu: bytes) -> Answer:
        raw = self._transmit(tpdu)
        return Answer(raw[:-2], StatusWord(int.from_bytes(raw[-2:], "big")))


def _chain(command: Apdu) -> Iterator[Apdu]:
    """``command`` as the commands of a chain (ISO 7816-4 §5.3.3): all but the last with CLA bit 5."""
    data = command.data
    while len(data) > _MOST_DATA:
        yield replace(command, cla=command.cla | _CHAINED, data=data[:_MOST_DATA], awaited=None)
        data = data[_MOST_DATA:]
    yield replace(command, data=data)
