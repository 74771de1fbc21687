"""Commands about presets: what there is to pick, and the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import typer

from clients.cli.console import DONE, Json, Parts, out, perform, print_json, safe
from clients.cli.prompt_lines import tell_preset, tell_presets
from workflows.app import App
from workflows.errors import BadRecipe, NotFound
from workflows.presets.shelf import KINDS, Shelf, folded
from workflows.prompts.answers import preset_list, preset_row
from workflows.types import Preset
from workflows.types.words import ID

Kind = Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.")]


def list_command(parts: Parts) -> Callable[..., None]:
    def presets_list(
        category: Annotated[
            str | None, typer.Argument(help="A category such as photography; or style, ..., options, packs.")
        ] = None,
        type_: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="A type of the category.")] = None,
        kind: Annotated[str | None, typer.Option(help=f"Only {', '.join(KINDS)}.")] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            if kind is not None and (kind not in KINDS or category is not None):
                raise BadRecipe("kind", kind, f"it is one of {', '.join(KINDS)}, without a category")
            answer = preset_list(await app.prompts.shelf(), kind or category, type_)
            print_json(answer) if as_json else tell_presets(answer)
            return DONE

        perform(parts, work)

    return presets_list


def show_command(parts: Parts) -> Callable[..., None]:
    def presets_show(
        reference: Annotated[str, typer.Argument(help="A name, a path such as style:anime, or pack:NAME.")],
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            found = (await app.prompts.shelf()).find(reference)
            if not found:
                raise BadRecipe("reference", reference, "it names a preset: `atelier presets list` shows them")
            if as_json:
                print_json({"presets": [preset_row(preset) for preset in found]})
            else:
                for preset in found:
                    tell_preset(preset)
            return DONE

        perform(parts, work)

    return presets_show


def add_command(parts: Parts) -> Callable[..., None]:
    def presets_add(
        kind: Kind,
        name: Annotated[str, typer.Argument(help="What to call it.")],
        text: Annotated[str, typer.Argument(help="What it adds to a prompt: descriptors with commas.")],
        negative: Annotated[str, typer.Option("--negative", "-n", help="What it rules out.")] = "",
        hint: Annotated[str, typer.Option(help="realistic, anime, ...: helps to choose the model.")] = "",
        preset_id: Annotated[str | None, typer.Option("--id", help="Made from the name where none is given.")] = None,
        as_json: Json = False,
    ) -> None:
        async def work(app: App) -> int:
            if kind not in KINDS:
                raise BadRecipe("kind", kind, f"it is {', '.join(KINDS[:-1])} or {KINDS[-1]}")
            chosen = _id_of(name, preset_id)
            preset = Preset.checked(id=chosen, name=name, kind=kind, text=text, negative=negative, hint=hint)
            kept = await app.prompts.add_preset(preset)
            print_json(preset_row(kept)) if as_json else tell_preset(kept)
            return DONE

        perform(parts, work)

    return presets_add


def remove_command(parts: Parts) -> Callable[..., None]:
    def presets_remove(
        kind: Kind, preset_id: Annotated[str, typer.Argument(metavar="ID", help="Of your own.")], as_json: Json = False
    ) -> None:
        async def work(app: App) -> int:
            if not await app.prompts.remove_preset(kind, preset_id):
                own = _own(await app.prompts.shelf())
                raise NotFound("preset of your own", f"{kind}:{preset_id}", own, _known(own))
            gone = f"{kind}:{preset_id}"
            print_json({"removed": gone}) if as_json else out.print(f"Removed {safe(gone)}.")
            return DONE

        perform(parts, work)

    return presets_remove


def _id_of(name: str, given: str | None) -> str:
    """The id that was given, or one made of the name."""
    made = folded(name)[:60].strip("-")
    if given is None and not re.fullmatch(ID, made):
        allowed = "no id can be made of it: give one with --id" if name.strip() else "it says what the preset is called"
        raise BadRecipe("name", name, allowed)
    if given is not None and not re.fullmatch(ID, given):
        raise BadRecipe("id", given, "it is small letters, digits and hyphens, at most 60")
    return made if given is None else given


def _own(shelf: Shelf) -> list[str]:
    return [preset.path for presets in shelf.flat.values() for preset in presets if preset.own]


def _known(own: list[str]) -> str:
    return f"Your own are: {', '.join(own)}." if own else "`atelier presets add` makes one."
