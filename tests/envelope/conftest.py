"""The zoo, the cases after x509-limbo, and owners of keys, made once for the whole run."""

from __future__ import annotations

import limbo
import pytest
import zoo
from cms_bench import Owner, make_owners
from path_judges import Question


@pytest.fixture(scope="session")
def zoo_questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    return dict(zoo.questions(tmp_path_factory.mktemp("zoo")))


@pytest.fixture(scope="session")
def limbo_questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    return dict(limbo.questions(tmp_path_factory.mktemp("limbo")))


@pytest.fixture(scope="session")
def owners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Owner]:
    return make_owners(tmp_path_factory.mktemp("owners"))
