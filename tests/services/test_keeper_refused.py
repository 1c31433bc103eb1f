"""A fichier that the OCT refused: what the practice finds in ``receipts/`` and ``refused/``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import samples
from development_pki import Pki
from keeper_bench import KeeperBench
from personal_bench import WAY, received

from gateway.fichier import Verb
from gateway.follow.refusals import cure
from gateway.formats.receipt import Receipt
from gateway.process.runtime import Runtime
from gateway.services.intake import Intake, IntakeSettings
from gateway.services.keeper.returns import apply_receipt

AT = "2026-11-22T08:00:00Z"


@pytest.mark.parametrize("code", ["OCT-011", "CMS-036", "OCT-012", "B2-001"])
def test_the_reason_says_what_is_to_be_done(pki: Pki, tmp_path: Path, code: str) -> None:
    bench = KeeperBench(tmp_path / "s", pki)
    fichier = received(bench, samples.b2(7))
    practice = bench.stage.paths.practice
    (practice / "processed" / f"{fichier}_x.b2").write_bytes(b"x")
    with bench.desk.commit():
        for verb, columns in (*WAY, (Verb.SEND, {})):
            bench.desk.book.move(fichier, verb, {}, **columns)  # type: ignore[arg-type]
    receipt = Receipt(fichier, 1, "1", "BOX", "refused", code, "Le motif.", AT, None, 0, None, (), True, None)
    with bench.desk.commit():
        apply_receipt(bench.desk, receipt)
    Intake(Runtime("intake", {}), bench.stage.paths, IntakeSettings()).look()
    advice = cure(code).advice
    told = json.loads((practice / "receipts" / f"{fichier}.json").read_text(encoding="utf-8"))
    assert (told["state"], told["code"], told["text"], told["advice"]) == ("REFUSED", code, "Le motif.", advice)
    reason = (practice / "refused" / f"{fichier}_x.b2.raison.txt").read_text(encoding="utf-8")
    assert reason.splitlines() == [code, "Le motif.", *([advice] if advice else [])]
