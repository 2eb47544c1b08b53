"""Fixtures with the real runtime and a scripted model, one of each for a whole module.

Starting the runtime takes most of a second, so the tests of a module share it and use their own
session ids. Tests that kill or freeze a runtime start their own.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from tests.scripted_model import ScriptedModel

_ids = itertools.count(1)


@pytest.fixture
def session_id() -> str:
    """A session id that no other test uses."""
    return f"slack-T1-C1-{next(_ids)}-000100"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedModel]:
    """The module's model server."""
    async with ScriptedModel() as server:
        yield server


@pytest.fixture(scope="module")
def options(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> RuntimeOptions:
    """The module's options: a data folder of its own and the scripted model."""
    return RuntimeOptions(
        data_dir=tmp_path_factory.mktemp("data"), base_url=model.url, api_key="sk-very-secret"
    )


@pytest.fixture
def own_options(options: RuntimeOptions, tmp_path: Path) -> RuntimeOptions:
    """Options with the test's own data folder, and so its own runtime.

    In a folder that another runtime still uses, the next one waits for the end of that one.
    """
    return replace(options, data_dir=tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(options: RuntimeOptions) -> AsyncIterator[CopilotAgent]:
    """The module's agent, for the tests that leave the runtime alone."""
    async with CopilotAgent(options) as shared:
        yield shared
