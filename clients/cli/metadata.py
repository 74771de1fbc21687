"""`atelier metadata show`: what a picture or video file says of itself, and a copy that says no more than it must.

It opens no App: any file of the four formats can be looked at, wherever it is from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.cli.console import DONE, FAILED, Json, Parts, err, out, print_json, safe
from utils.images import BadPicture
from utils.metadata import XMP, Stamp, media_type_of, read, read_parameters, stripped
from utils.signing import C2paMissing, manifest_of
from workflows.importing import Foreign, read_recipe

MAX_FILE = 2_000_000_000
"""Bytes of a file that is read."""
_SETTINGS = ("task", "width", "height", "steps", "cfg", "sampler", "scheduler", "seed", "denoise", "clip_skip")
_MEANINGS = {
    "trainedAlgorithmicMedia": "made by a model",
    "compositeWithTrainedAlgorithmicMedia": "changed by a model",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
}


class _Failed(Exception):
    """The file cannot be shown; the text says why."""


def metadata_command(parts: Parts) -> Callable[..., None]:
    def show(
        file: Annotated[Path, typer.Argument(help="PNG, JPEG, WebP or MP4.")],
        strip: Annotated[
            Path | None,
            typer.Option(
                help="Write a copy to share to this file: without prompt, settings, names, places; the AI mark stays."
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        try:
            told = _told(file)
            if strip is not None:
                told["copy"] = str(_copied(file, strip))
        except _Failed as failed:
            err.print(f"[red]Error:[/red] {safe(failed)}")
            if as_json:
                print_json({"status": "failed", "error": {"code": "bad_file", "message": str(failed)}})
            raise typer.Exit(FAILED) from None
        print_json(told) if as_json else _print(told)
        raise typer.Exit(DONE)

    return show


def _told(file: Path) -> dict[str, Any]:
    content = _content(file)
    try:
        stamp = read(content)
    except BadPicture as bad:
        raise _Failed(f"{file} cannot be read: {bad}.") from bad
    made = read_recipe(stamp)
    told: dict[str, Any] = {"file": str(file), "media_type": media_type_of(content), "size": len(content)}
    told |= _made(made, stamp) if made else {}
    told |= {"digital_source_type": stamp.source_type, "c2pa": _manifest(content, stamp)}
    told |= {"parts": [{"name": name, "bytes": size} for name, size in stamp.parts]}
    told |= {"texts": {name: text for name, text in stamp.texts.items() if name != XMP}, "record": stamp.record}
    return told


def _made(made: Foreign, stamp: Stamp) -> dict[str, Any]:
    drawn = made.rendered or made.recipe
    settings = {name: value for name in _SETTINGS if (value := getattr(drawn, name)) is not None}
    line = read_parameters(stamp.parameters or "")
    further = {name: text for name, text in line.items() if name not in {"prompt", "negative_prompt"}}
    return {
        "program": made.program,
        "prompt": drawn.prompt,
        "negative_prompt": drawn.negative,
        "model": made.model or drawn.model,
        "model_hash": made.model_hash,
        "loras": [{"name": lora.name, "strength": lora.strength} for lora in drawn.loras],
        "settings": settings,
        "parameters": further,
        "graph": made.graph is not None,
        "workflow": made.workflow is not None,
        "notes": list(made.notes),
    }


def _manifest(content: bytes, stamp: Stamp) -> dict[str, Any] | None:
    """None: no manifest."""
    if not stamp.signed:
        return None
    try:
        manifest = manifest_of(content)
    except C2paMissing as missing:
        return {"valid": None, "why": str(missing)}
    return asdict(manifest) if manifest else {"valid": False, "why": "The manifest cannot be read."}


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_FILE:
            raise _Failed(f"{file} has more than {MAX_FILE:,} bytes.")
        return file.read_bytes()
    except OSError as error:
        raise _Failed(f"{file} cannot be read: {error.strerror or error}.") from error


def _copied(file: Path, to: Path) -> Path:
    target = to / file.name if to.is_dir() else to
    try:
        bare = stripped(_content(file))
        with target.open("xb") as copy:
            copy.write(bare)
    except BadPicture as bad:
        raise _Failed(f"{file} cannot be stripped: {bad}.") from bad
    except FileExistsError as there:
        raise _Failed(f"{target} is there already; give another name to --strip.") from there
    except OSError as error:
        raise _Failed(f"{target} cannot be written: {error.strerror or error}.") from error
    return target


def _print(told: Mapping[str, Any]) -> None:
    shown = {"file": f"{told['file']} ({told['media_type']}, {told['size']:,} bytes)"}
    if "program" in told:
        shown |= {name: told[name] for name in ("program", "prompt", "negative_prompt", "model", "model_hash")}
        shown["loras"] = ", ".join(f"{lora['name']} ({lora['strength']:g})" for lora in told["loras"])
        shown["settings"] = ", ".join(f"{name} {value}" for name, value in told["settings"].items())
        shown["parameters"] = ", ".join(f"{name}: {value}" for name, value in told["parameters"].items())
        shown["ComfyUI"] = ", ".join(name for name in ("graph", "workflow") if told[name])
        shown["notes"] = " ".join(told["notes"])
    else:
        shown["program"] = "The file does not say how it was made."
    shown |= {"source type": _meaning(told["digital_source_type"]), "C2PA": _signature(told["c2pa"])}
    shown["chunks"] = ", ".join(f"{part['name']} ({part['bytes']:,})" for part in told["parts"])
    shown |= {"copy to share": told.get("copy", "")}
    for name, text in shown.items():
        if text:
            out.print(f"[dim]{name:<16}[/dim] {safe(text)}")


def _meaning(source_type: str | None) -> str:
    name = (source_type or "").rpartition("/")[2]
    return f"{name} ({_MEANINGS[name]})" if name in _MEANINGS else name


def _signature(manifest: Mapping[str, Any] | None) -> str:
    if manifest is None:
        return ""
    if "why" in manifest:
        return f"A manifest is there, not checked. {manifest['why']}"
    state = "valid" if manifest["valid"] else "NOT VALID: the file was changed, or the signature is wrong"
    known = "" if manifest["trusted"] else "; whether the signer can be trusted is not known"
    facts = {name: manifest[name] for name in ("signer", "made_by", "title", "actions", "source_types", "faults")}
    said = (f"{name.replace('_', ' ')} {_listed(value)}" for name, value in facts.items() if value)
    return f"{state}{known}; {'; '.join(said)}"


def _listed(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
