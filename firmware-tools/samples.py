"""Made-up fichiers for the demonstration, trials and tests: valid, distinct, and nobody's.

The emitter is the SESAM test number, the destination the test fund (scheme 01, body 996); NIRs have right
keys and months that no person has.
"""

from __future__ import annotations

import random
from datetime import date, timedelta

from gateway.formats.b2_write import write_fichier
from gateway.formats.findings import Facture, Lot
from gateway.formats.keys import nir_key

EMITTER = "991038431"
DESTINATION = "00000001025996"
TODAY = date.today()
"""Of the run, so that a midnight in it changes nothing."""


def nir(number: int) -> str:
    """A NIR that nobody has (month 50), with its key: 15 characters."""
    body = f"1{number % 100:02d}50{number % 95 + 1:02d}999{number % 1000:03d}"
    return f"{body}{nir_key(body):02d}"


def lots(serial: int, sizes: tuple[int, ...], day: date) -> list[Lot]:
    """Lots of the given numbers of factures; ``serial`` makes their numbers and factures unlike others'."""
    made, number = [], serial * 100
    for place, size in enumerate(sizes, start=1):
        factures = []
        for _ in range(size):
            number += 1
            amo, amc = 1610 + 100 * (number % 30), 690 * (number % 2)
            care = (day - timedelta(days=number % 20 + 1)).isoformat()
            factures.append(Facture(f"{number:09d}", nir(number), amo, amc, amo + amc, care))
        lot_number = f"{(serial * 2 + place) % 999 + 1:03d}"
        made.append(Lot(EMITTER, DESTINATION, lot_number, day.isoformat(), tuple(factures)))
    return made


def b2(serial: int, sizes: tuple[int, ...] = (3, 2), day: date | None = None) -> bytes:
    """A B2 file without any finding."""
    day = day or TODAY
    return write_fichier(lots(serial, sizes, day), f"T{serial:05d}", day.isoformat())


def faulty_b2(serial: int, day: date | None = None) -> bytes:
    """The same, with one digit of one NIR key changed."""
    content = bytearray(b2(serial, (2,), day))
    place = 2 * 128 + 25
    content[place] = ord("0") + (content[place] - ord("0") + 1) % 10
    return bytes(content)


def scanned(size: int, seed: int = 1) -> bytes:
    """A PDF of ``size`` bytes whose only stream is noise, as scans are to whoever carries them."""
    head = b"%PDF-1.7\n1 0 obj\n<< /Length " + str(size).encode() + b" >>\nstream\n"
    tail = b"\nendstream\nendobj\ntrailer\n<< >>\n%%EOF\n"
    return head + random.Random(seed).randbytes(size - len(head) - len(tail)) + tail
