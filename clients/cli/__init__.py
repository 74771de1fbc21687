"""The command line as a face: arguments -> App calls -> lines of text and progress bars.

Exit codes: 0 done, 1 failed, 2 usage, 3 made but not accepted by the judges, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from clients.cli import (
    gallery,
    graphs,
    looking,
    making,
    metadata,
    models,
    moving,
    presets,
    prompts,
    refining,
    servers,
    sharing,
    sweeping,
    video,
)
from clients.cli.console import DONE, Finding, Parts, out
from clients.cli.setup import setup_command

__all__ = ["Finding", "Parts", "build", "run"]

MAKING = {
    "generate": (making.generate_command, 'Render a picture and have it judged (short: atelier "PROMPT").'),
    "inpaint": (making.inpaint_command, "Paint over part of a picture; the rest stays identical."),
    "outpaint": (making.outpaint_command, "Extend a picture beyond its edges."),
    "upscale": (making.upscale_command, "Enlarge a picture."),
    "face-restore": (making.face_restore_command, "Repair the faces in a picture."),
    "remove-background": (making.remove_background_command, "Cut out the subject of a picture."),
    "video": (video.video_command, "Make a video from words."),
    "animate": (video.animate_command, "Set a picture in motion."),
    "extend-video": (video.extend_command, "Let a video go on from its last frame."),
    "interpolate": (video.interpolate_command, "Make a video smoother: frames between its frames."),
    "sweep": (sweeping.sweep_command, "One picture for every combination of some settings, and a grid of them."),
    "regenerate": (making.regenerate_command, "Make a picture of the gallery again, with other settings or the same."),
}
REFINING = {
    "batch": (refining.batch_command, "Refine many prompts in rounds: draw, evaluate in words, reword, again."),
    "evaluate": (refining.evaluate_command, "Put a picture into words, and say what is missing."),
    "refine": (refining.refine_command, "Reword a prompt by what was seen."),
    "stats": (refining.stats_command, "What services were asked, how it went, what it cost."),
}
LOOKING = {
    "status": (looking.status_command, "Engines, servers, work in hand, pictures, memory."),
    "setup": (setup_command, "Get a real model that suits this machine, and draw with it."),
    "doctor": (looking.doctor_command, "What is installed, reachable and missing, and the next step."),
}
GROUPS = {"gallery", "metadata", "models", "prompt", "presets", "workflows", "servers"}


def run(arguments: Sequence[str], parts: Parts) -> int:
    """Run one command; returns its exit code. `atelier "PROMPT"` is short for `atelier generate "PROMPT"`."""
    known = {*MAKING, *REFINING, *LOOKING, *GROUPS, "serve", "--help", "--version"}
    given = list(arguments) or ["--help"]
    if given[0] not in known:
        given = ["generate", *given]
    try:
        build(replace(parts, as_json="--json" in given))(given, prog_name="atelier")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else DONE
    return DONE


def build(parts: Parts) -> typer.Typer:
    """The commands, bound to what the root handed over."""
    cli = typer.Typer(
        help='Pictures that were checked. atelier "a red circle" renders, judges, retries and files one.',
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    cli.callback(invoke_without_command=True)(_root(parts.version))
    for name, (command, words) in (MAKING | REFINING | LOOKING).items():
        cli.command(name, help=words)(command(parts))
    passing: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    serve = looking.serve_command(parts)
    cli.command("serve", help="Serve MCP; options as of atelier-mcp.", context_settings=passing)(serve)
    cli.add_typer(_gallery(parts), name="gallery")
    cli.add_typer(_metadata(parts), name="metadata")
    cli.add_typer(_models(parts), name="models")
    cli.add_typer(_prompts(parts), name="prompt")
    cli.add_typer(_presets(parts), name="presets")
    cli.add_typer(_workflows(parts), name="workflows")
    cli.add_typer(_servers(parts), name="servers")
    return cli


def _gallery(parts: Parts) -> typer.Typer:
    group = typer.Typer(help="The pictures that were kept.", no_args_is_help=True)
    group.command("list", help="Find pictures: by words, filters, or likeness.")(gallery.list_command(parts))
    group.command("show", help="All that is known about a picture, with its family.")(gallery.show_command(parts))
    group.command("delete", help="Put pictures into the trash.")(gallery.delete_command(parts))
    group.command("restore", help="Bring pictures back from the trash.")(gallery.restore_command(parts))
    group.command("tag", help="Give a picture tags, or make it a favourite.")(gallery.tag_command(parts))
    group.command("duplicates", help="Pictures that are nearly the same.")(gallery.duplicates_command(parts))
    group.command("import", help="Take in pictures and videos made elsewhere, with their recipes.")(
        sharing.import_command(parts)
    )
    group.command("export", help="A zip of pictures with their recipes.")(sharing.export_command(parts))
    group.command("sheet", help="Pictures side by side on one sheet, or the frames of one video.")(
        sharing.sheet_command(parts)
    )
    group.command("compare", help="Two pictures beside each other, and how far they differ.")(
        sharing.compare_command(parts)
    )
    group.command("migrate", help="Move the files into an object store, or back.")(moving.migrate_command(parts))
    group.command("empty-trash", help="Erase what is in the trash, for good.")(gallery.empty_trash_command(parts))
    return group


def _metadata(parts: Parts) -> typer.Typer:
    group = typer.Typer(help="What a picture's file says of itself.", no_args_is_help=True)
    group.command("show", help="What made it; --strip OUT writes a copy to share.")(metadata.metadata_command(parts))
    return group


def _workflows(parts: Parts) -> typer.Typer:
    workflows = typer.Typer(
        help="ComfyUI graphs: which can be used, whether one is right, and running one.", no_args_is_help=True
    )
    workflows.command("list", help="List the workflows, and what is missing for each.")(graphs.list_command(parts))
    check = "Check a graph, or the one that a prompt and model become; draws nothing."
    workflows.command("check", help=check)(graphs.check_command(parts))
    run_it = "Run a workflow of your own: atelier workflows run portrait --set prompt='a cat' --set image=cat.png."
    workflows.command("run", help=run_it)(graphs.run_command(parts))
    return workflows


def _models(parts: Parts) -> typer.Typer:
    group = typer.Typer(help="Models: what is here, what suits, what could be had.", no_args_is_help=True)
    group.command("list", help="List the models that are here.")(models.list_command(parts))
    group.command("info", help="All that is known about a model.")(models.info_command(parts))
    group.command("suggest", help="What suits a prompt, with the parts of the score.")(models.suggest_command(parts))
    group.command("search", help="Search CivitAI and Hugging Face.")(models.search_command(parts))
    group.command("download", help="Fetch a model into the folder where it belongs.")(models.download_command(parts))
    group.command("scan", help="Look at the model folders now.")(models.scan_command(parts))
    group.command("lookup", help="Ask CivitAI, by their hashes, about files without a side-car.")(
        models.lookup_command(parts)
    )
    group.command("set", help="Say what a file really is.")(models.set_command(parts))
    return group


def _prompts(parts: Parts) -> typer.Typer:
    group = typer.Typer(help="Prompts: built, enhanced, talked over, looked at, remembered.", no_args_is_help=True)
    group.command("build", help="Put a prompt together from parts and presets.")(prompts.build_command(parts))
    group.command("enhance", help="Write a prompt as the model wants it.")(prompts.enhance_command(parts))
    group.command("negative", help="A negative prompt for a family or model.")(prompts.negative_command(parts))
    group.command("analyze", help="What a prompt says, and what could be better.")(prompts.analyze_command(parts))
    group.command("chat", help="Talk a prompt over, message by message.")(prompts.chat_command(parts))
    group.command("history", help="Prompts that were written, newest first.")(prompts.history_command(parts))
    group.command("writers", help="The language models that could write.")(prompts.writers_command(parts))
    return group


def _presets(parts: Parts) -> typer.Typer:
    group = typer.Typer(help="Presets: what there is to pick, and your own.", no_args_is_help=True)
    group.command("list", help="What there is, one level at a time.")(presets.list_command(parts))
    group.command("show", help="All that is known about a preset.")(presets.show_command(parts))
    group.command("add", help="Keep a preset of your own.")(presets.add_command(parts))
    group.command("remove", help="Remove one of your own.")(presets.remove_command(parts))
    return group


def _servers(parts: Parts) -> typer.Typer:
    pool = typer.Typer(help="The ComfyUI servers: how they are, and which get no new work.", no_args_is_help=True)
    pool.command("list", help="List the servers, with what runs and waits on each.")(servers.list_command(parts))
    drain = "Give a server no new work, in every Atelier of this home; what it has it ends."
    pool.command("drain", help=drain)(servers.drain_command(parts))
    pool.command("resume", help="Give a server work again.")(servers.resume_command(parts))
    return pool


def _root(version: str) -> Callable[..., None]:
    def root(show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
        if show:
            out.print(f"atelier {version}")
            raise typer.Exit(DONE)

    return root
