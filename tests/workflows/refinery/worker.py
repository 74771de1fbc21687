"""Processes of their own that run a batch whose engine, evaluator and language model are asked over loopback.

    python -m tests.workflows.refinery.worker HOME PORT

Each line that it reads is a batch size, for which it forks a process, once all is imported, and tells first its id and
then how it ended. That goes on with the run in HOME/out where there is one. A request to the port is one line, and so
is its answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import FakeEngine, png
from tests.workflows.refinery.kit import house
from utils.images import decode
from workflows.content import ContentRules
from workflows.ports import Report
from workflows.prompts.keeping import lost
from workflows.refinery.batch import Batch
from workflows.refinery.briefs import read_briefs
from workflows.types import Artifact, Evaluation, FamilyProfile, Media, Message, Recipe, Ticket


def colour_of(prompt: str) -> tuple[int, int, int]:
    """What a prompt looks like: its picture says of which it is."""
    red, green, blue = hashlib.sha256(prompt.encode()).digest()[:3]
    return red, green, blue


async def asked(port: int, *words: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((json.dumps(words) + "\n").encode())
    answer = await reader.readline()
    writer.close()
    return json.loads(answer)


@dataclass(kw_only=True)
class Engine(FakeEngine):
    port: int = 0

    async def render(
        self, recipe: Recipe, inputs: Mapping[str, Media], report: Report, ticket: Ticket
    ) -> Sequence[Artifact]:
        await asked(self.port, "render", recipe.prompt)
        picture = Media(data=png(64, 64, colour_of(recipe.prompt)), media_type="image/png")
        return [Artifact(media=picture, seed=recipe.seed or 0, width=64, height=64, model="remote")]


@dataclass(frozen=True)
class Eyes:
    port: int
    name: str = "eyes"

    async def evaluate(self, picture: Media, prompt: str, profile: FamilyProfile) -> Evaluation:
        pixel = (await asyncio.to_thread(decode, picture.data)).getpixel((0, 0))
        said = await asked(self.port, "evaluate", str(pixel))
        return Evaluation(by=self.name, text=said, score=5.0, passed=False)


@dataclass(frozen=True)
class Writer:
    port: int
    name: str = "writer"

    async def chat(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, object] | None = None,
        listener: Callable[[str], None] | None = None,
    ) -> str:
        drawn = messages[-1].content.split("The prompt that was drawn:\n<<<")[1].partition(">>>")[0]
        return json.dumps({"prompt": await asked(self.port, "refine", drawn), "negative": "", "said": "more"})

    async def complete(self, prompt: str, schema: Mapping[str, object] | None = None) -> str:
        raise NotImplementedError

    async def installed(self) -> Sequence[str]:
        return [self.name]


async def main(home: Path, port: int, batch_size: int) -> None:
    output = home / "out"
    briefs = await asyncio.to_thread(read_briefs, home / "prompts.yaml")
    engine = Engine(port=port)
    async with house(home, engine=engine, evaluators=[Eyes(port)], writers=[Writer(port)], grace=3) as at:
        batch = Batch(refinery=at.refinery, output=output, batch_size=batch_size, iterations=2)
        await batch.run(briefs, resume=(output / "run.json").exists())


def serve(home: Path, port: int) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            ended = 1
            try:
                asyncio.run(main(home, port, int(line)))
                ended = 0
            except KeyboardInterrupt:
                ended = 130
            finally:
                if ended == 1:
                    traceback.print_exc()
                os._exit(ended)
        tell(str(child))
        tell(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for name in ("ledger", "_ledger.jobs", "_ledger.items", "_ledger.refinements", "_ledger.calls", "_ledger.sqlite"):
        importlib.import_module(f"clients.{name}")
    for name in ("alembic.command", "jsonschema", "yaml", "PIL.Image", "inflect", "workflows.prompts.rules"):
        importlib.import_module(name)
    lost("a red cat", "a dog")  # whose first call reads tables, as does the first look at the content rules
    ContentRules().check(Recipe(prompt="a red cat"))
    serve(Path(sys.argv[1]), int(sys.argv[2]))
