"""Tests the demo's model server with the real small model."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.demo import local_model

SECONDS = 60.0
WORDS = 12
"""Few enough that every answer is cut."""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.demo.local_model", str(local_model.find_bundled_gguf())),
        *("--answer-tokens", str(WORDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            ready_line = (await process.stdout.readline()).decode().split()
            assert ready_line[0] == "ready"
            yield ready_line[1]
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_an_answer_is_streamed_and_one_that_was_cut_counts_as_ended(url: str) -> None:
    """The Copilot runtime would ask on, up to twice, and get the same again."""
    question = {
        "messages": [{"role": "user", "content": "Tell me a long story about a whale."}],
        "stream": True,
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/chat/completions", json=question) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        lines = [line async for line in answer.content if line.startswith(b"data: {")]
    chunks = [json.loads(line.removeprefix(b"data: "))["choices"][0] for line in lines]
    texts = [chunk["delta"].get("content") or "" for chunk in chunks]
    assert len([text for text in texts if text]) > WORDS / 2
    assert [chunk["finish_reason"] for chunk in chunks if chunk["finish_reason"]] == ["stop"]


async def test_it_lists_its_name_and_no_path(url: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/models") as answer:
        body = await answer.text()
    assert "SmolLM2" in json.loads(body)["data"][0]["id"]
    assert str(Path(sys.prefix)) not in body


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
async def test_what_is_no_question_is_refused(url: str, body: bytes) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/chat/completions", data=body) as answer,
    ):
        assert answer.status == 400


@pytest.mark.parametrize("content", [None, b"", b"GGU"])
def test_a_file_that_is_no_model_is_refused(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.gguf"
    if content is not None:
        file.write_bytes(content)
    assert local_model.main([str(file)]) == 1
    assert capsys.readouterr().err == "model.gguf is not a GGUF model file.\n"
