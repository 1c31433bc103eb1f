"""The zoo and the cases after x509-limbo, made once for the whole run."""

from __future__ import annotations

import limbo
import pytest
import zoo
from path_judges import Question


@pytest.fixture(scope="session")
def zoo_questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    return dict(zoo.questions(tmp_path_factory.mktemp("zoo")))


@pytest.fixture(scope="session")
def limbo_questions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    return dict(limbo.questions(tmp_path_factory.mktemp("limbo")))
