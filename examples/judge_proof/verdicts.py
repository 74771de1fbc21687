"""What the judges say of the labelled set, one judge after the other, as a job of the demo engine would ask them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pictures
from traps import JUDGES, Pair

from clients.config import Settings
from clients.wiring import open_app
from utils.images import encode_png
from workflows.app import App
from workflows.families import family
from workflows.judges.ranking import merit
from workflows.ports import Judge
from workflows.types import Media, Recipe, Verdict


@asynccontextmanager
async def own_app() -> AsyncGenerator[App]:
    """The real thing, in a folder of its own and with the demo model."""
    with tempfile.TemporaryDirectory(prefix="judge_proof_") as home:
        settings = await asyncio.to_thread(lambda: Settings(atelier_home=Path(home), comfyui_url="off"))
        async with open_app(settings.model_copy(update={"atelier_local_model": None})) as app:
            yield app


def judges_of(app: App) -> dict[str, Judge]:
    """The judges that are measured here, as wiring made them."""
    return {name: app.studio.judges[name] for name in JUDGES if name in app.studio.judges}


@dataclass(frozen=True)
class Heard:
    """A pair with what every judge said of it."""

    pair: Pair
    said: Mapping[str, Verdict]

    def objected(self, judge: str) -> bool:
        return self.said[judge].passed is False

    def score(self, judge: str) -> float | None:
        return self.said[judge].score

    @property
    def merit(self) -> float | None:
        """The composite that candidates are ranked by."""
        return merit(self.said.values())


async def heard(pairs: Sequence[Pair], judges: Mapping[str, Judge]) -> list[Heard]:
    """Every pair before every judge; unlike in a job, a hard no does not keep the others from speaking."""
    profile = (await asyncio.to_thread(family, "demo")).profile
    found: list[Heard] = []
    for pair in pairs:
        media = Media(data=encode_png(Pictures.fromarray(pair.picture)), media_type="image/png")
        recipe = Recipe(prompt=pair.prompt)
        said = {name: (await judge.judge([media], recipe, profile))[0] for name, judge in judges.items()}
        found.append(Heard(pair, said))
    return found
