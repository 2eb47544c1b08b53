"""What a session says, without the bot's own secrets: however the model's words are cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from bot.domain.messages import AgentEvent, AnswerStopped, TextAdded, TextSettled, TextTakenBack
from bot.errors import AgentError
from bot.redaction import Flow, Redaction


async def redacted(
    events: AsyncGenerator[AgentEvent, None], redaction: Redaction
) -> AsyncGenerator[AgentEvent, None]:
    """The same events, and the same error at their end."""
    flow = Flow(redaction)
    async with aclosing(events):
        try:
            async for event in events:
                for passed in _passed(event, flow, redaction):
                    yield passed
        except AgentError:
            if rest := flow.end():
                yield TextAdded(text=rest)
            raise
    if rest := flow.end():
        yield TextAdded(text=rest)


def _passed(event: AgentEvent, flow: Flow, redaction: Redaction) -> list[AgentEvent]:
    match event:
        case TextAdded(text=text):
            decided = flow.feed(text)
            return [TextAdded(text=decided)] if decided else []
        case TextSettled(text=text):
            flow.end()
            return [TextSettled(text=redaction(text))]
        case TextTakenBack():
            flow.end()
        case AnswerStopped():
            rest = flow.end()
            return [TextAdded(text=rest), event] if rest else [event]
        case _:
            pass
    return [event]
