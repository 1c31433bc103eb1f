"""Restart contexts: what they keep, and what of them outlives a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.link.context import Context, Kept
from gateway.pesit.transfer import SyncPoint

HEAD = {"identity": {"file_name": "É"}}


def point(number: int) -> SyncPoint:
    return SyncPoint(number, number * 100, number)


def filled(path: Path, *numbers: int) -> Context:
    context = Context.begin(path, HEAD)
    context.reach([Kept(point(number), number * 110) for number in numbers])
    return context


def loaded(path: Path) -> Context:
    context = Context.load(path)
    assert context is not None
    return context


@pytest.mark.fact("F-76", "F-102", "F-111")
def test_what_was_recorded_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 1, 2, 3)
    context = loaded(path)
    assert context.head == HEAD and context.ended is None
    assert list(context.points.values()) == [SyncPoint(), point(1), point(2), point(3)]
    assert (context.last.point, context.last.place) == (point(3), 330)
    assert [context.place(number) for number in (0, 2, 4)] == [0, 220, None]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.fact("F-109")
def test_going_back_forgets_the_points_behind(tmp_path: Path) -> None:
    path = tmp_path / "c"
    context = filled(path, 1, 2, 3)
    context.record(point(1), 110)
    for again in (context, loaded(path)):
        assert list(again.points) == [0, 1]
    context.record(point(0), 7)
    assert (loaded(path).last.place, list(loaded(path).points)) == (0, [0]), "the start is the start"


def test_the_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 1).end(size=5, articles=2)
    assert loaded(path).ended == {"size": 5, "articles": 2}


def test_a_line_that_a_crash_cut_does_not_count_and_does_not_harm(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 1, 2)
    whole = path.read_bytes()
    before = whole[: whole.rstrip(b"\n").rfind(b"\n") + 1]
    for size in range(len(before), len(whole)):
        path.write_bytes(whole[:size])
        context = loaded(path)
        assert list(context.points) == [0, 1]
        context.record(point(2), 220)
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]\n{}\n", b'{}\n{"point": {"x": 1}, "place": 0}\n', b"\xff\n", b"{}\n3\n", b'{"point": {}}\n'],
)
def test_what_is_no_context_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    assert Context.load(path) is None
    assert Context.load(tmp_path / "absent") is None


def test_a_new_context_replaces_an_old_one_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 1, 2)
    filled(path)
    assert list(loaded(path).points) == [0]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [HEAD]
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]
    loaded(path).drop()
    assert not path.exists()
