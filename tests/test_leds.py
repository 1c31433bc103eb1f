"""Lamps in a folder that looks like the kernel's LED class."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.follow.headline import Level
from gateway.leds import GREEN, LAMPS, LIGHTS, ORANGE, RED, Lamps, make_folder


def burning(folder: Path) -> dict[str, str]:
    """Lamps that are not dark: 'on', or the name of their trigger."""
    found = {}
    for name in LAMPS:
        trigger, brightness = ((folder / name / file).read_text() for file in ("trigger", "brightness"))
        if trigger != "none" or brightness != "0":
            found[name] = "on" if trigger == "none" else trigger
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path / "leds")
    return tmp_path / "leds"


@pytest.mark.parametrize(
    ("level", "signature", "expected"),
    [
        ("ok", False, {GREEN: "on"}),
        ("ok", True, {GREEN: "on"}),
        ("attention", False, {ORANGE: "on"}),
        ("attention", True, {ORANGE: "timer"}),
        ("fault", False, {RED: "on"}),
        ("fault", True, {ORANGE: "timer", RED: "on"}),
    ],
)
def test_each_level_has_its_lamps(folder: Path, level: str, signature: bool, expected: dict[str, str]) -> None:
    lamps = Lamps(folder)
    lamps.show("ok", False)
    lamps.show(level, signature)
    assert burning(folder) == expected


def test_every_level_of_the_headline_has_lights() -> None:
    assert set(LIGHTS) == {(level, signature) for level in Level for signature in (False, True)}


def test_full_brightness_is_the_lamps_own(folder: Path) -> None:
    (folder / GREEN / "max_brightness").write_text("255\n")
    Lamps(folder).show("ok", False)
    assert (folder / GREEN / "brightness").read_text() == "255"


def test_writes_only_what_changes(folder: Path) -> None:
    lamps = Lamps(folder)
    lamps.show("ok", False)
    for name in LAMPS:
        (folder / name / "trigger").write_text("untouched")
    lamps.show("ok", False)
    assert {(folder / name / "trigger").read_text() for name in LAMPS} == {"untouched"}
    lamps.show("fault", False)
    assert (folder / ORANGE / "trigger").read_text() == "untouched"
    assert (folder / RED / "brightness").read_text() == "1"


def test_a_missing_lamp_is_no_error_and_lights_when_it_comes(tmp_path: Path) -> None:
    lamps = Lamps(tmp_path / "leds")
    lamps.show("fault", False)
    assert not (tmp_path / "leds").exists()
    make_folder(tmp_path / "leds")
    lamps.show("fault", False)
    assert burning(tmp_path / "leds") == {RED: "on"}


def test_no_file_is_ever_made(folder: Path) -> None:
    (folder / RED / "brightness").unlink()
    Lamps(folder).show("fault", False)
    assert not (folder / RED / "brightness").exists()
