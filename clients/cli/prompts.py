"""Commands about prompts: written, enhanced, talked over, looked at; and those that were written before."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from clients.cli.console import DONE, Json, Parts, err, in_commands, out, perform, print_json, safe
from clients.cli.prompt_lines import (
    shown_as_written,
    tell_conversation,
    tell_history,
    tell_negative,
    tell_report,
    tell_spoken,
    tell_writers,
    tell_written,
)
from workflows.app import App
from workflows.errors import BadRecipe, NotFound, StudioError
from workflows.prompts.answers import (
    history_answer,
    history_row,
    negative_answer,
    report_answer,
    spoken_answer,
    written_answer,
)
from workflows.types import HistoryQuery, Spoken, Written

LEAVE = "An empty line or Ctrl-D ends it."

Prompt = Annotated[str, typer.Argument(help="What the picture shows, in your words.")]
Model = Annotated[str, typer.Option(help="A model here, or a family such as flux, sdxl, pony; auto: what suits.")]
Negative = Annotated[str, typer.Option("--negative", "-n", help="What it must not show.")]
Presets = Annotated[
    list[str] | None,
    typer.Option("--preset", "-p", help="As `atelier presets list` names it; several times."),
]
Writer = Annotated[
    str,
    typer.Option(help="auto, rules, model (a language model or its error), or one `atelier prompt writers` names."),
]
Style = Annotated[str | None, typer.Option(help="A style preset, or your own words.")]


def build_command(parts: Parts) -> Callable[..., None]:
    def prompt_build(
        subject: Annotated[str, typer.Argument(help="Who or what is to be seen.")],
        style: Style = None,
        setting: Annotated[str | None, typer.Option(help="Where it is.")] = None,
        preset: Annotated[str | None, typer.Option("--preset", "-p", help="Any preset, path or pack.")] = None,
        artist: Annotated[str | None, typer.Option(help="An artist preset, or words.")] = None,
        composition: Annotated[str | None, typer.Option(help="A composition preset, or words.")] = None,
        lighting: Annotated[str | None, typer.Option(help="A lighting preset, or words.")] = None,
        option: Annotated[list[str] | None, typer.Option("--option", help="Such as mood:epic; several times.")] = None,
        negative: Negative = "",
        model: Model = "auto",
        as_json: Json = False,
    ) -> None:
        picked = {"style": style, "setting": setting, "preset": preset, "artist": artist}
        picked |= {"composition": composition, "lighting": lighting}
        given: dict[str, Any] = picked | {"options": tuple(option or ()), "negative": negative, "model": model}

        async def work(app: App) -> int:
            return _told(await app.prompts.build(subject, **given), as_json)

        perform(parts, work)

    return prompt_build


def enhance_command(parts: Parts) -> Callable[..., None]:
    def prompt_enhance(
        prompt: Prompt,
        model: Model = "auto",
        style: Style = None,
        preset: Presets = None,
        negative: Negative = "",
        writer: Writer = "auto",
        as_json: Json = False,
    ) -> None:
        given: dict[str, Any] = {"negative": negative, "style": style, "presets": tuple(preset or ())}
        given |= {"model": model, "writer": writer}

        async def work(app: App) -> int:
            with shown_as_written(as_json) as listener:
                written = await app.prompts.enhance(prompt, **given, listener=listener)
            return _told(written, as_json)

        perform(parts, work)

    return prompt_enhance


def _told(written: Written, as_json: bool) -> int:
    print_json(written_answer(written)) if as_json else tell_written(written)
    return DONE


def negative_command(parts: Parts) -> Callable[..., None]:
    def prompt_negative(
        model_type: Annotated[str, typer.Argument(help="A family or a model.")] = "sd15",
        prompt: Annotated[str, typer.Option(help="The prompt that it is for.")] = "",
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            negative = await app.prompts.negative(model_type, prompt)
            print_json(negative_answer(negative)) if as_json else tell_negative(negative)
            return DONE

        perform(parts, work)

    return prompt_negative


def analyze_command(parts: Parts) -> Callable[..., None]:
    def prompt_analyze(prompt: Prompt, model: Model = "auto", as_json: Json = False) -> None:
        async def work(app: App) -> int:
            report = await app.prompts.analyze(prompt, model)
            print_json(report_answer(report)) if as_json else tell_report(report)
            return DONE

        perform(parts, work)

    return prompt_analyze


def chat_command(parts: Parts) -> Callable[..., None]:
    def prompt_chat(
        message: Annotated[
            str | None, typer.Argument(help="What to change; none on a terminal: a conversation.")
        ] = None,
        conversation: Annotated[str | None, typer.Option(help="Go on with this one.")] = None,
        reset: Annotated[bool, typer.Option("--reset", help="Forget what was said in it before.")] = False,
        model: Model = "auto",
        preset: Presets = None,
        writer: Writer = "auto",
        as_json: Json = False,
    ) -> None:
        given: dict[str, Any] = {"model": model, "presets": tuple(preset) if preset else None, "writer": writer}

        async def work(app: App) -> int:
            if message is not None:
                return await _one_turn(app, message, given | {"conversation_id": conversation, "reset": reset}, as_json)
            if reset:
                return await _forget(app, conversation, as_json)
            if as_json or not sys.stdin.isatty():
                raise BadRecipe("message", "", "say what to change; without words it needs a terminal to talk at")
            return await _talk(app, conversation, given)

        perform(parts, work)

    return prompt_chat


async def _one_turn(app: App, message: str, given: Mapping[str, Any], as_json: bool) -> int:
    spoken = await _said(app, message, given, as_json)
    if as_json:
        print_json(spoken_answer(spoken))
        return DONE
    tell_spoken(spoken.written, spoken.reply, spoken.reset)
    out.print(f"[dim]{safe(_again(spoken.conversation_id))}[/dim]")
    return DONE


async def _said(app: App, message: str, given: Mapping[str, Any], quiet: bool) -> Spoken:
    with shown_as_written(quiet) as listener:
        return await app.prompts.converse(message, **given, listener=listener)


async def _forget(app: App, conversation: str | None, as_json: bool) -> int:
    if not conversation:
        raise BadRecipe(
            "conversation", conversation, "--reset needs --conversation ID: the one that is to be forgotten"
        )
    if not await app.prompts.reset(conversation):
        raise NotFound("conversation", conversation)
    told = f"What was said in {conversation} is forgotten; the next message begins it anew."
    print_json({"reset": conversation}) if as_json else out.print(safe(told))
    return DONE


async def _talk(app: App, conversation: str | None, given: Mapping[str, Any]) -> int:
    """Messages until an empty line. One that fails is told, and may be said again."""
    if conversation:
        tell_conversation(await app.prompts.conversation(conversation))
    err.print(f"[dim]{LEAVE}[/dim]")
    try:
        while message := _line():
            try:
                spoken = await _said(app, message, dict(given) | {"conversation_id": conversation}, quiet=False)
            except StudioError as error:
                err.print(f"[red]Error:[/red] {safe(in_commands(str(error)))}")
                continue
            conversation = spoken.conversation_id
            tell_spoken(spoken.written, spoken.reply, spoken.reset)
    finally:  # Ctrl-C in the middle of an answer leaves what was said before
        if conversation:
            out.print(f"[dim]{safe(_again(conversation))}[/dim]")
    return DONE


def _line() -> str:
    """What is typed next; empty at the end of the input and for Ctrl-C. It blocks the loop on purpose: see `agreed`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        err.print("> ", end="")
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        err.print()
        return ""
    finally:
        signal.signal(signal.SIGINT, before)


def _again(conversation: str) -> str:
    return f"To go on: atelier prompt chat --conversation {conversation}"


def history_command(parts: Parts) -> Callable[..., None]:
    def prompt_history(
        query: Annotated[str, typer.Argument(help="Words that occur in it.")] = "",
        limit: Annotated[int, typer.Option("--limit", "-l", help="Rows.")] = 50,
        cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
        delete: Annotated[str | None, typer.Option(help="Delete the one with this id.")] = None,
        as_json: Json = False,
    ) -> None:
        async def page(app: App) -> int:
            found = await app.prompts.history(HistoryQuery.checked(query=query, limit=limit, cursor=cursor))
            print_json(history_answer(found)) if as_json else tell_history(found, bool(query.strip()))
            return DONE

        async def forget(app: App) -> int:
            gone = await app.prompts.forget(delete or "")
            print_json({"deleted": history_row(gone)}) if as_json else out.print(f"Deleted {safe(gone.id)}.")
            return DONE

        perform(parts, page if delete is None else forget)

    return prompt_history


def writers_command(parts: Parts) -> Callable[..., None]:
    def prompt_writers(as_json: Json = False) -> None:
        async def work(app: App) -> int:
            names, configured = await app.prompts.writers(), app.prompts.writer_names
            if as_json:
                print_json({"writers": names, "configured": list(configured)})
            else:
                tell_writers(names, configured)
            return DONE

        perform(parts, work)

    return prompt_writers
