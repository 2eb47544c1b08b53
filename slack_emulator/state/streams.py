"""Manages streamed messages, which the app, a user or a timeout of 300 seconds ends.

Rules and error codes: docs.slack.dev/reference/methods/chat.startStream and its two siblings.
Streams live about five minutes and activity does not extend that: slackapi/python-slack-sdk issue
1859.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.changes import Reset, StopRequested, StreamUpdated
from slack_emulator.state.entities import ApiError, Json, Message, StreamState
from slack_emulator.state.workspace import Workspace

STREAM_LIFETIME_SECONDS: Final = 300.0
MAX_STREAMS: Final = 10_000
"""Maximum number of stored streams, also ended ones; the oldest are dropped."""
MAX_CHARS: Final = 12_000
"""Maximum characters of one call's markdown_text, and of a whole stream's."""

_TASK_STATUSES: Final = ("pending", "in_progress", "complete", "error")
_MAX_DETAIL_CHARS: Final = 256


@dataclass(slots=True)
class _Stream:
    """The content and the state of a live or ended stream."""

    started_at: float
    state: StreamState = StreamState.STREAMING
    uses_chunks: bool | None = None
    """True if the stream uses chunks, False for markdown_text; None before the first of either."""
    pieces: list[Json] = field(default_factory=list)
    """Blocks in their order of arrival; consecutive texts are merged to one piece."""
    tasks: dict[str, Json] = field(default_factory=dict)
    plan_title: str | None = None
    length: int = 0


@dataclass(frozen=True, slots=True)
class Addition:
    """The validated content that one call adds."""

    text: str = ""
    pieces: tuple[Json, ...] = ()
    uses_chunks: bool | None = None


class Streams:
    """All streams of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._expiry_timers: dict[tuple[str, str], asyncio.Task[None]] = {}
        workspace.add_listener(lambda change: self._clear() if isinstance(change, Reset) else None)

    def _clear(self) -> None:
        for end in self._expiry_timers.values():
            end.cancel()
        self._expiry_timers.clear()
        self._streams.clear()

    async def close(self) -> None:
        """Cancel the timers."""
        ends = list(self._expiry_timers.values())
        self._clear()
        await asyncio.gather(*ends, return_exceptions=True)

    def is_live(self, message: Message) -> bool:
        """True if the message may still grow."""
        stream = self._streams.get((message.channel, message.ts))
        return stream is not None and self._state(stream) is StreamState.STREAMING

    def _state(self, stream: _Stream) -> StreamState:
        """The state by the clock. The timer is not used, because it may fire a moment late."""
        old = self._workspace.clock.now() - stream.started_at >= STREAM_LIFETIME_SECONDS
        if stream.state is StreamState.STREAMING and old:
            return StreamState.EXPIRED
        return stream.state

    def start(self, message: Message, addition: Addition) -> Message:
        """Start a stream with a message that is not in the workspace yet."""
        key = (message.channel, message.ts)
        stream = _Stream(started_at=self._workspace.clock.now())
        self._append(stream, addition)
        self._streams[key] = stream
        if len(self._streams) > MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        posted = replace(
            message,
            text=addition.text,
            blocks=_render_blocks(stream, message.task_display_mode),
            stream_state=StreamState.STREAMING,
        )
        self._workspace.post_message(posted)
        self._expiry_timers[key] = asyncio.create_task(self._expire(key))
        return posted

    def append(self, message: Message, addition: Addition) -> Message:
        """Append to a live stream. Raises ApiError if it is not live, or for its length or mode."""
        stream = self._require_live(message)
        self._append(stream, addition)
        return self._publish(message, stream, addition.text, ())

    def stop(
        self,
        message: Message,
        addition: Addition,
        last_blocks: tuple[Json, ...],
        metadata: Json | None,
    ) -> Message:
        """Stop a live stream. `last_blocks` are shown under its text."""
        stream = self._require_live(message)
        self._append(stream, addition)
        stream.state = StreamState.STOPPED
        self._cancel_timer(message)
        if metadata is not None:
            message = replace(message, metadata=metadata)
        return self._publish(message, stream, addition.text, last_blocks)

    def stop_by_user(self, channel: str, thread_ts: str, user_id: str) -> tuple[str, ...]:
        """Stop the live streams of a thread for a user's native Stop. Returns their ts."""
        stopped: list[str] = []
        for message in self._workspace.replies(channel, thread_ts):
            stream = self._streams.get((channel, message.ts))
            if stream is not None and self._state(stream) is StreamState.STREAMING:
                stream.state = StreamState.STOPPED_BY_USER
                self._cancel_timer(message)
                self._publish(message, stream, "", ())
                stopped.append(message.ts)
        self._workspace.notify(StopRequested(channel, thread_ts, user_id, tuple(stopped)))
        return tuple(stopped)

    def _require_live(self, message: Message) -> _Stream:
        stream = self._streams.get((message.channel, message.ts))
        if stream is None:
            raise ApiError("message_not_in_streaming_state")
        match self._state(stream):
            case StreamState.STREAMING:
                return stream
            case StreamState.STOPPED_BY_USER:
                raise ApiError("stopped_by_user")
            case _:
                raise ApiError("message_not_in_streaming_state")

    def _append(self, stream: _Stream, addition: Addition) -> None:
        """Append to the stream, all or nothing."""
        if None not in (stream.uses_chunks, addition.uses_chunks) and (
            stream.uses_chunks is not addition.uses_chunks
        ):
            raise ApiError("streaming_mode_mismatch")
        if stream.length + len(addition.text) > MAX_CHARS:
            raise ApiError("msg_too_long")
        if addition.uses_chunks is not None:
            stream.uses_chunks = addition.uses_chunks
        stream.length += len(addition.text)
        for piece in addition.pieces:
            _add_piece(stream, piece)

    def _publish(
        self, message: Message, stream: _Stream, delta: str, last_blocks: tuple[Json, ...]
    ) -> Message:
        after = replace(
            message,
            text=message.text + delta,
            blocks=(*_render_blocks(stream, message.task_display_mode), *last_blocks),
            stream_state=self._state(stream),
        )
        self._workspace.replace_silently(after)
        self._workspace.notify(StreamUpdated(message, after, delta))
        return after

    async def _expire(self, key: tuple[str, str]) -> None:
        await self._workspace.clock.sleep(STREAM_LIFETIME_SECONDS)
        stream, message = self._streams.get(key), self._workspace.find_message(*key)
        self._expiry_timers.pop(key, None)
        if stream is not None and message is not None:
            stream.state = StreamState.EXPIRED
            self._publish(message, stream, "", ())

    def _cancel_timer(self, message: Message) -> None:
        if (end := self._expiry_timers.pop((message.channel, message.ts), None)) is not None:
            end.cancel()


def parse_addition(text: str, chunks: Sequence[Json] | None) -> Addition:
    """The content that a call adds.

    Raises ApiError if both forms are given, for too much text, and for invalid chunks.
    """
    if text and chunks:
        raise ApiError("cannot_provide_both_markdown_text_and_chunks")
    if len(text) > MAX_CHARS:
        raise ApiError("msg_too_long")
    if text:
        return Addition(text=text, pieces=({"type": "markdown", "text": text},), uses_chunks=False)
    if not chunks:
        return Addition()
    pieces: list[Json] = []
    for chunk in chunks:
        pieces += _parse_chunk(chunk)
    added_text = "".join(str(piece["text"]) for piece in pieces if piece["type"] == "markdown")
    return Addition(text=added_text, pieces=tuple(pieces), uses_chunks=True)


def _parse_chunk(chunk: Json) -> list[Json]:
    match chunk:
        case {"type": "markdown_text", "text": str(text)}:
            return [{"type": "markdown", "text": text}]
        case {"type": "task_update", "id": str(task_id), "title": str(title)} if task_id:
            return [_parse_task(chunk, task_id, title)]
        case {"type": "plan_update", "title": str(title)}:
            return [{"type": "plan", "title": title}]
        case {"type": "blocks", "blocks": list(blocks)}:
            if not all(isinstance(block, dict) for block in blocks):
                raise ApiError("invalid_chunks")
            return [{"type": "blocks", "blocks": block_kit.validate_blocks(blocks)}]
        case _:
            raise ApiError("invalid_chunks")


def _parse_task(chunk: Json, task_id: str, title: str) -> Json:
    status = chunk.get("status", "pending")
    if status not in _TASK_STATUSES:
        raise ApiError("invalid_chunks")
    task: Json = {"type": "task_card", "task_id": task_id, "title": title, "status": status}
    for name in ("details", "output"):
        if (value := chunk.get(name)) is not None:
            if not isinstance(value, str) or len(value) > _MAX_DETAIL_CHARS:
                raise ApiError("invalid_chunks")
            task[name] = value
    if (sources := chunk.get("sources")) is not None:
        if not isinstance(sources, list):
            raise ApiError("invalid_chunks")
        task["sources"] = sources
    return task


def _add_piece(stream: _Stream, piece: Json) -> None:
    match piece["type"]:
        case "markdown":
            last = stream.pieces[-1] if stream.pieces else None
            if last is not None and last["type"] == "markdown":
                stream.pieces[-1] = last | {"text": f"{last['text']}{piece['text']}"}
            else:
                stream.pieces.append(piece)
        case "task_card":
            task_id = str(piece["task_id"])
            if task_id not in stream.tasks:
                stream.pieces.append({"type": "task", "task_id": task_id})
            stream.tasks[task_id] = stream.tasks.get(task_id, {}) | piece
        case "plan":
            stream.plan_title = str(piece["title"])
        case _:
            stream.pieces.append(piece)


def _render_blocks(stream: _Stream, mode: str | None) -> tuple[Json, ...]:
    """The stream as blocks. A plan contains all tasks; a timeline shows each where it came."""
    shown: list[Json] = []
    if mode == "plan" and (stream.tasks or stream.plan_title):
        title = stream.plan_title or "Plan"
        shown.append({"type": "plan", "title": title, "tasks": list(stream.tasks.values())})
    for piece in stream.pieces:
        if piece["type"] == "task":
            if mode != "plan":
                shown.append(stream.tasks[str(piece["task_id"])])
        elif piece["type"] == "blocks":
            blocks = piece["blocks"]
            shown += blocks if isinstance(blocks, tuple) else ()
        elif piece.get("text"):
            shown.append(piece)
    return tuple(shown)
