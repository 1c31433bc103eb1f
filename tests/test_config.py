"""The configuration file: every mistake is named, and the sample reads back to the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config import Paths, read_document, read_section, sample, setting, write_toml
from gateway.errors import Refused


@dataclass(frozen=True)
class Inner:
    name: str = setting("x", "nom")


@dataclass(frozen=True)
class Section:
    host: str = setting("127.0.0.1", "adresse")
    port: int = setting(8780, "port")
    wait: float = setting(1.5, "attente")
    on: bool = setting(True, "actif")
    where: Path = setting(Path("/tmp"), "dossier")
    names: tuple[str, ...] = setting(("a", "b"), "noms")
    inner: Inner = field(default_factory=Inner, metadata={"doc": "dedans"})
    holder: str = field(default="", metadata={"doc": "qui", "was": "rpps"})


def test_the_sample_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "g.toml"
    file.write_text(sample({"section": Section, "paths": Paths}))
    document = read_document(file, ("section", "paths"))
    assert read_section(Section, document["section"], "[section]") == Section()
    assert read_section(Paths, document["paths"], "[paths]") == Paths()


def test_written_values_read_back(tmp_path: Path) -> None:
    file = tmp_path / "g.toml"
    file.write_text(write_toml({"section": {"port": 1, "names": ["é\"'"], "inner": {"name": "y"}, "wait": 2}}))
    section = read_section(Section, read_document(file, ("section",))["section"], "[section]")
    assert (section.port, section.names, section.inner.name, section.wait) == (1, ("é\"'",), "y", 2.0)


def test_the_former_name_of_a_setting_is_read() -> None:
    assert read_section(Section, {"rpps": "a"}, "[section]").holder == "a"


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("[section", "CFG-002", "TOML"),
        ("[other]\n", "CFG-003", "[other]"),
        ("section = 3", "CFG-004", "[section]"),
        ("[section]\nprot = 1", "CFG-005", "prot"),
        ("[section]\nnames = 'a'", "CFG-006", "names"),
        ("[section]\nport = '80'", "CFG-007", "port"),
        ("[section]\nport = true", "CFG-007", "port"),
        ("[section]\nnames = [1]", "CFG-007", "names[0]"),
        ("[section.inner]\nnom = 'a'", "CFG-005", "nom"),
        ("[section]\nrpps = 'a'\nholder = 'b'", "CFG-005", "rpps"),
        ("[section]\nrpps = 1", "CFG-007", "holder"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, code: str, named: str) -> None:
    file = tmp_path / "g.toml"
    file.write_text(text)
    with pytest.raises(Refused) as caught:
        read_section(Section, read_document(file, ("section",))["section"], "[section]")
    assert caught.value.code == code
    assert named in caught.value.text


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="CFG-001"):
        read_document(tmp_path, ())


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="CFG-001"):
        read_document(tmp_path / "none.toml", ())
