"""Prompts over HTTP: written, talked over, remembered; and who could write them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.web.answers import (
    Forgotten,
    Generated,
    HistoryAnswer,
    ModelsAnswer,
    ResetAnswer,
    Talked,
)
from clients.web.bodies import ChatBody, GenerateBody, HistoryAsked, ResetBody
from clients.web.operations import Call
from workflows.errors import NotFound
from workflows.families import families
from workflows.prompts.answers import history_answer, history_row, spoken_answer, written_answer
from workflows.types import HistoryQuery

if TYPE_CHECKING:
    from workflows.prompts.desk import PromptDesk

MODEL, RULES, AUTO = "model", "rules", "auto"


async def models(call: Call) -> ModelsAnswer:
    """Language models that could be asked, and model families that prompts can be written for.

    When a language model is configured and does not answer, its error is the answer.
    """
    desk = await call.desk()
    known = await asyncio.to_thread(families)
    told = [{"name": name, "title": one.profile.title} for name, one in known.items() if name != "unknown"]
    found = await desk.writers()
    return ModelsAnswer.model_validate(
        {"models": found, "writer": next(iter(desk.writer_names), RULES), "families": told}
    )


async def generate(call: Call, body: GenerateBody) -> Generated:
    """Write a prompt for a model family out of what somebody wants to see."""
    desk = await call.desk()
    written = await desk.enhance(
        body.input,
        negative=body.negative,
        presets=body.references(),
        model=body.model or AUTO,
        writer=_writer(desk, body.writer),
        listener=call.listener,
    )
    return Generated.model_validate(_told(written_answer(written)))


async def chat(call: Call, body: ChatBody) -> Talked:
    """Say something about a prompt: what to add, to leave out, to change.

    The conversation is the one with that id, else the one that the browser's cookie names, else a new one.
    """
    desk = await call.desk()
    known = body.conversation_id or await _still_there(desk, call.cookie)
    call.entered.append(known or call.begins)
    spoken = await desk.converse(
        body.message,
        conversation_id=known,
        begin_as=call.begins,
        model=body.model or AUTO,
        presets=body.references() if body.names_presets else None,
        writer=_writer(desk, body.writer),
        reset=body.reset,
        listener=call.listener,
    )
    return Talked.model_validate({"reply": ""} | _told(spoken_answer(spoken)))


async def reset(call: Call, body: ResetBody) -> ResetAnswer:
    """Forget what was said in a conversation; its id stays good."""
    conversation_id = body.conversation_id or call.cookie
    if not conversation_id:
        return ResetAnswer(reset=False)
    return ResetAnswer(reset=await (await call.desk()).reset(conversation_id), conversation_id=conversation_id)


async def history(call: Call, query: HistoryAsked) -> HistoryAnswer:
    """Prompts that were written, newest first."""
    asked = HistoryQuery.checked(query=query.q or query.search, limit=query.limit, cursor=query.cursor or None)
    told = history_answer(await (await call.desk()).history(asked))
    return HistoryAnswer.model_validate(told | {"prompts": [_row(row) for row in told["prompts"]]})


async def forget(call: Call, id: str) -> Forgotten:
    """Delete a prompt from the history."""
    return Forgotten.model_validate({"deleted": _row(history_row(await (await call.desk()).forget(id)))})


def _writer(desk: PromptDesk, asked: str | None) -> str:
    """On a page somebody waits and sees an error; so a language model is not silently stood in for."""
    return asked or (MODEL if desk.writer_names else RULES)


async def _still_there(desk: PromptDesk, conversation_id: str) -> str | None:
    """A cookie outlives its conversation, and comes before it; whoever brings one like that begins another."""
    try:
        return (await desk.conversation(conversation_id)).id if conversation_id else None
    except NotFound:
        return None


def _told(answer: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in answer.items() if name != "prompt"}
    return {"negative_prompt": "", **_row(rest), "result": answer["prompt"]}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """With the model that the prompt is for: its file, or else its family."""
    return row | {"model": row.get("model") or row.get("family", "")}
