"""``gateway concentrator``: what was integrated, read without writing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from concentrator_bench import BOX, Bench, b2

from gateway.__main__ import main
from gateway.concentrator.store import Store
from gateway.link.passwords import password_fits


def test_the_listing_says_what_was_integrated(bench: Bench, opened: Store, capsys: pytest.CaptureFixture[str]) -> None:
    integration = bench.integration(opened)
    content = b2(count=2)
    for seal in ("s1", "s2"):
        bench.receive(opened, bench.sign_and_seal(content, "f1"), seal=seal)
        integration.work()
    bench.receive(opened, b"rubbish", "f2")
    integration.work()
    words = ["concentrator", "list", "--directory", str(bench.settings.directory)]
    assert main([*words, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["fichier"], first["verdict"], first["doubles"], first["size"]) == (
        "f1",
        "integrated",
        1,
        len(content),
    )
    assert [lot["number"] for lot in first["lots"]] == ["001", "002"] and len(first["digest"]) == 12
    assert (second["verdict"], second["digest"]) == ("unopened", None)
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "pris en charge, 2 lots" in lines[0] and "1 double" in lines[0]
    assert "non ouvert (CMS-" in lines[1]


def test_without_a_database_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["concentrator", "list", "--directory", str(tmp_path)]) == 75
    assert "OCT-007" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_hashed_for_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    assert main(["concentrator", "password"]) == 0
    assert password_fits("secret", capsys.readouterr().out.strip())


def test_what_a_lost_box_had_is_delivered_again(
    bench: Bench, opened: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.receive(opened, bench.sign_and_seal(b2(), "f1"))
    bench.integration(opened).work()
    rows = opened.connection.execute("SELECT * FROM mailbox ORDER BY id").fetchall()
    for row, at in zip(rows, ("2026-11-20T08:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T08:00:00Z"), strict=True):
        opened.deliver(row["id"], at)
    words = ["concentrator", "redeliver", BOX, "--directory", str(bench.settings.directory)]
    assert main([*words, "--since", "2026-11-21"]) == 0
    assert "2 retours seront remis de nouveau" in capsys.readouterr().out
    waiting = opened.undelivered(BOX, bench.now.timestamp(), 9, bench.recipients(opened))
    assert [row["name"] for row in waiting] == [row["name"] for row in rows[1:]]
    (bench.settings.returns / rows[0]["file"]).unlink()
    assert main([*words, "--since", "2026-11-01"]) == 0
    assert "0 retour sera remis" in capsys.readouterr().out, "what was cleared away cannot be"
    with pytest.raises(SystemExit):
        main([*words, "--since", "yesterday"])
    assert main([*words[:3], "--directory", str(bench.settings.spool), "--since", "2026-11-21"]) == 75
