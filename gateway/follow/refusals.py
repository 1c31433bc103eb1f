"""What a person does about a refused fichier, by the code of the refusal.

Most refusals are of the content: the practice's software corrects it and hands it over anew, which is a fichier of
its own.  Where the OCT refused the signer or the signature there is nothing to correct, and the same file
put into ``outbox/`` is known already: what it needs is another sending, and sometimes something before that.
Pure; it deliberately knows nothing of who refused, for no code means two things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cure:
    """``words`` go on after « fichiers refusés : »; ``advice`` is what is added to the reason of one, '' where the
    reason says it all; ``resend``: it is the same fichier that goes again."""

    words: str
    advice: str = ""
    resend: bool = True


_NOTHING = "Rien n'est à corriger dans le fichier"

CORRECT = Cure("à corriger et à remettre", resend=False)
MANDATE = Cure(
    "à renvoyer (gateway resend) quand le concentrateur aura déclaré le mandat",
    f"{_NOTHING} : il faut que le concentrateur déclare ce mandat chez lui, ou qu'une autre carte signe, puis renvoyer"
    " le fichier (gateway resend).",
)
CARD = Cure(
    "à renvoyer (gateway resend) pour signature par une autre carte",
    f"{_NOTHING} : renvoyez-le (gateway resend), il sera signé de nouveau par une carte au certificat valable.",
)
AGAIN = Cure(
    "à renvoyer (gateway resend) sans rien y corriger",
    f"{_NOTHING} : renvoyez-le (gateway resend), il sera contrôlé, signé et scellé de nouveau. S'il est encore refusé,"
    " prévenez la personne qui suit votre passerelle.",
)

CURES: Mapping[str, Cure] = {
    "OCT-002": AGAIN,  # the signature does not say of which fichier
    "OCT-003": AGAIN,  # it is that of another fichier
    "OCT-004": AGAIN,  # the OCT's own check came to no end
    "OCT-011": MANDATE,
    "OCT-012": AGAIN,  # other totals were shown to the signer
    **{f"CMS-{number:03}": AGAIN for number in (*range(1, 8), *range(10, 18))},  # signature, its envelope
    **{f"CMS-{number:03}": CARD for number in (30, 31, 32, 34, 35, 36, 40, 43, 44)},  # the signer's certificate
}
"""Refusals that no correction of the file cures; any other is CORRECT."""

ORDER = (CORRECT, MANDATE, CARD, AGAIN)


def cure(code: str) -> Cure:
    """What a refusal with this code asks for."""
    return CURES.get(code, CORRECT)


def cures(refused: Mapping[str, int]) -> Mapping[Cure, int]:
    """How many fichiers ask for each cure, in ``ORDER``, from how many were refused with each code."""
    counts = {one: sum(count for code, count in refused.items() if cure(code) is one) for one in ORDER}
    return {one: count for one, count in counts.items() if count}


def words(refused: Mapping[str, int]) -> str:
    """What is to be done about all of them, to go on after a colon; with numbers where it is not the same for all."""
    asked = cures(refused)
    if len(asked) == 1:
        return next(iter(asked)).words
    return " ; ".join(f"{count} {one.words}" for one, count in asked.items())
