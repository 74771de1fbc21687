"""HuggingFaceClient: searches the Hugging Face Hub, and tells what a reference to it means, through huggingface_hub.

A single file is fetched by the downloader, like CivitAI's: the library itself begins a file anew after its process was
killed, and ours goes on. A whole pipeline goes through the library, into the cache in which diffusers looks for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

from clients._hub import reading
from clients._hub.faults import HUB, SETTING, hub_errors
from clients._hub.reading import HubFile
from clients._hub.snapshot import Meter, fetch
from utils.hub import HUB as USUAL_ENDPOINT
from utils.hub import hub_answers, hub_cache
from workflows.downloads.fetching import Arrived, Report, Speed
from workflows.errors import AccessDenied, BadRecipe, NotFound, ServiceUnavailable, StudioError
from workflows.families import families, family_of_base_model
from workflows.types import FoundModel, ModelKind, ModelQuery, Offer

T = TypeVar("T")

SORTS: Mapping[str, str] = {
    "most downloaded": "downloads",
    "newest": "created_at",
    "highest rated": "likes",
    "most liked": "likes",
    "trending": "trending_score",
}
"""Our words for orders, and those of HfApi.list_models."""
TAGS: Mapping[str, str] = {"lora": "lora", "controlnet": "controlnet", "embedding": "textual_inversion", "vae": "vae"}
"""The tag that a kind is searched by."""
PIPELINES: Mapping[str, str] = {"checkpoint": "text-to-image", "lora": "text-to-image", "all": "text-to-image"}
"""The task that a kind is searched by; others are searched by tags and words alone."""
BASES: Mapping[str, str] = {
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "flux-dev": "black-forest-labs/FLUX.1-dev",
    "flux-schnell": "black-forest-labs/FLUX.1-schnell",
    "qwen-image": "Qwen/Qwen-Image",
    "z-image-turbo": "Tongyi-MAI/Z-Image-Turbo",
    "sd35-large": "stabilityai/stable-diffusion-3.5-large",
    "sd35-medium": "stabilityai/stable-diffusion-3.5-medium",
}
"""Repositories from which the LoRAs of a family say that they were made."""
SHOWN = ("tags", "downloads", "likes", "cardData", "gated", "author", "createdAt", "pipeline_tag", "library_name")
"""What a search asks of each repository."""
SIZED = 10
"""Results whose files are asked for, one request each; the others have no size."""
AT_ONCE = 4
PATIENCE = 30.0
"""Seconds for an answer of the Hub; the library itself waits for ever."""
STOP_SECONDS = 5.0
"""Seconds in which a pipeline's transfers have to end when they are stopped; they end by themselves later."""
LISTED = 20
"""Files that an error names."""

_NAME = r"[A-Za-z0-9][\w.-]{0,95}"
_REFERENCE = re.compile(
    rf"(?P<repository>{_NAME}/{_NAME})(?:/(?P<path>[^@\s][^@]*?))?(?:@(?P<revision>[\w.-][\w./-]{{0,120}}))?"
)
_PAGE = re.compile(r"(?:/(?:blob|resolve|tree)/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?/?")
FORMS = "it is hf:OWNER/NAME, hf:OWNER/NAME/FILE.safetensors, or the URL of a model or file at huggingface.co"


@dataclass(frozen=True)
class Reference:
    """A place at the Hub."""

    repository: str
    path: str = ""
    revision: str = ""

    def __str__(self) -> str:
        where = f"hf:{self.repository}/{self.path}" if self.path else f"hf:{self.repository}"
        return f"{where}@{self.revision}" if self.revision else where


class HuggingFaceClient:
    """The ModelSource and Snapshots ports. `cache_dir`: where pipelines go, the library's own cache unless given.

    `token`: a key; without one, what `hf auth login` left on this machine is used. `half`: pipelines are fetched in
    half precision where they have it, as the in-process engine asks for on a GPU.
    """

    name = "huggingface"

    def __init__(
        self,
        token: str | None = None,
        endpoint: str | None = None,
        cache_dir: Path | None = None,
        *,
        half: bool = True,
    ) -> None:
        self._token = token or None
        self._endpoint = (endpoint or USUAL_ENDPOINT).rstrip("/")
        self._half = half
        self.cache = cache_dir or hub_cache()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held: the library keeps its own connections."""

    async def search(self, query: ModelQuery) -> Sequence[FoundModel]:
        """One request, and one for each of the first. Raises BadRecipe (order, kind), ServiceError."""
        order = SORTS.get(query.sort.strip().lower())
        if order is None:
            raise BadRecipe("sort", query.sort, f"at {HUB} it is Most Downloaded, Newest, Highest Rated or Trending")
        kinds = get_args(ModelKind)
        if query.model_type not in {"all", *kinds}:
            raise BadRecipe("model_type", query.model_type, f"it is one of all, {', '.join(kinds)}")
        await self._reachable()
        infos = await self._answered(self._listed, query, order)
        kept = await asyncio.to_thread(lambda: [info for info in infos if _wanted(info, query)][: query.limit])
        gate = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(self._found(info, gate, place < SIZED) for place, info in enumerate(kept)))

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        """The file or pipeline that a reference means; `version`: a branch, tag or commit. One request.

        Raises BadRecipe, NotFound, AccessDenied (HF_TOKEN) and other ServiceErrors.
        """
        wanted = read_reference(reference, self._endpoint)
        wanted = Reference(wanted.repository, wanted.path, version or wanted.revision)
        await self._reachable()
        return await self._answered(self._offered, wanted)

    async def headers(self, offer: Offer) -> Mapping[str, str]:
        key = await asyncio.to_thread(self._key)
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def snapshot(self, offer: Offer, report: Report) -> Path:
        """The pipeline of an offer, in the cache. Files that lie there whole are not fetched again.

        Cancelling ends the transfers at the next piece. Raises ServiceError, NotFound, StorageError.
        """
        wanted = read_reference(offer.reference, self._endpoint)
        info = await self._answered(self._repository, wanted.repository, wanted.revision)
        chosen = reading.pipeline_files(reading.files_of(info), self._half)
        loop, speed = asyncio.get_running_loop(), Speed(time.monotonic)

        def told(received: int) -> None:
            report(Arrived(received=received, size=offer.size, speed=speed.after(received)))

        def heard(received: int) -> None:
            loop.call_soon_threadsafe(told, received)

        meter = Meter(heard)
        paths, key = [file.path for file in chosen], await asyncio.to_thread(self._key)
        doing = asyncio.ensure_future(
            asyncio.to_thread(
                fetch,
                wanted.repository,
                wanted.revision or "main",  # by name: the cache then finds it under that name, too
                paths,
                cache=self.cache,
                endpoint=self._endpoint,
                token=key,
                size=offer.size,
                meter=meter,
            )
        )
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            meter.stop.set()
            await asyncio.wait([doing], timeout=STOP_SECONDS)
            doing.add_done_callback(_seen)
            raise

    # ------------------------------------------------------------------ asking

    async def _reachable(self) -> None:
        """Raises ServiceUnavailable within seconds; the library's own attempts to connect take half a minute."""
        if not await asyncio.to_thread(hub_answers, self._endpoint):
            raise ServiceUnavailable(f"{HUB} could not be reached at {self._endpoint}: connect, and try again.")

    async def _answered(self, ask: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.to_thread(ask, *arguments)
        except TimeoutError as error:
            raise ServiceUnavailable(f"{HUB} did not answer in {PATIENCE:g} s. Try again later.") from error

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._endpoint, token=self._token)

    def _key(self) -> str | None:
        from huggingface_hub import get_token

        return self._token or get_token()

    def _listed(self, query: ModelQuery, order: str) -> list[Any]:
        with hub_errors():
            return list(
                self._api().list_models(
                    search=query.query.strip() or None,
                    filter=_filters(query) or None,
                    pipeline_tag=PIPELINES.get(query.model_type),
                    sort=order,
                    limit=min(100, query.limit * (3 if query.base_model or not query.nsfw else 1)),
                    expand=list(SHOWN),
                )
            )

    def _repository(self, repository: str, revision: str = "") -> Any:
        with hub_errors(repository):
            return self._api().model_info(repository, revision=revision or None, files_metadata=True)

    async def _found(self, info: Any, gate: asyncio.Semaphore, sized: bool) -> FoundModel:
        size = None
        if sized:
            try:
                async with gate:
                    size = self._size(await self._answered(self._repository, info.id))
            except StudioError:  # the size of one result is not worth the others
                pass
        return await asyncio.to_thread(self._told, info, size)

    def _told(self, info: Any, size: int | None) -> FoundModel:
        return FoundModel(
            reference=f"hf:{info.id}",
            source=self.name,
            name=str(info.id).rpartition("/")[2],
            kind=reading.kind_of(info),
            family=reading.family_of(info),
            size=size,
            creator=str(info.id).partition("/")[0],
            facts=reading.facts_of(info, self._endpoint).but(reference=f"hf:{info.id}"),
        )

    def _size(self, info: Any) -> int | None:
        """Of what its bare reference means; None where that is several files."""
        files = reading.files_of(info)
        pipeline, weights = reading.pipeline_files(files, self._half), reading.weights_of(files)
        return reading.size_of(pipeline or (weights if len(weights) == 1 else []))

    # ------------------------------------------------------------------ offers

    def _offered(self, wanted: Reference) -> Offer:
        info = self._repository(wanted.repository, wanted.revision)
        if info.gated and not self._key():
            words = f"{wanted.repository} is gated: accept its terms on {self._endpoint}/{wanted.repository}"
            raise AccessDenied(f"{words}, and set {SETTING} to a key of that account.", SETTING)
        files = reading.files_of(info)
        pipeline = [] if wanted.path else reading.pipeline_files(files, self._half)
        return self._pipeline(wanted, info, pipeline) if pipeline else self._single(wanted, info, files)

    def _pipeline(self, wanted: Reference, info: Any, files: Sequence[HubFile]) -> Offer:
        pickled = reading.pickled_parts(reading.files_of(info))
        if pickled:
            words = f"its {', '.join(pickled)} can run code when opened, and there is no safetensors version"
            raise BadRecipe("reference", str(wanted), f"{words}; choose another repository")
        reference = str(Reference(wanted.repository, revision=wanted.revision))
        return Offer(
            reference=reference,
            source=self.name,
            name=wanted.repository.rpartition("/")[2],
            url=f"{self._endpoint}/{wanted.repository}/tree/{info.sha}",
            size=reading.size_of(files),
            kind="pipeline",
            family=reading.family_of(info),
            title=wanted.repository,
            facts=reading.facts_of(info, self._endpoint).but(reference=reference),
        )

    def _single(self, wanted: Reference, info: Any, files: Sequence[HubFile]) -> Offer:
        file = _meant(wanted, files)
        reference = str(Reference(wanted.repository, file.path, wanted.revision))
        facts = reading.facts_of(info, self._endpoint).but(reference=reference, sha256=file.sha256)
        name = reading.file_name(wanted.repository, file)
        return Offer(
            reference=reference,
            source=self.name,
            name=name,
            url=f"{self._endpoint}/{wanted.repository}/resolve/{info.sha}/{_quoted(file.path)}",
            size=file.size,
            sha256=file.sha256,
            kind=facts.kind,
            family=reading.family_of(info),
            title=wanted.repository,
            facts=facts,
            side_car=reading.side_car(name, file, facts),
        )


def read_reference(text: str, endpoint: str = USUAL_ENDPOINT) -> Reference:
    """Raises BadRecipe for what names no place at the Hub."""
    given = text.strip()
    for host in (endpoint, USUAL_ENDPOINT, "https://hf.co", "https://www.huggingface.co"):
        if given.startswith(f"{host}/"):
            return _of_page(text, given.removeprefix(f"{host}/").partition("?")[0].partition("#")[0])
    bare = re.sub(r"^(hf|huggingface):(//)?", "", given, flags=re.IGNORECASE)
    found = _REFERENCE.fullmatch(bare)
    if found is None or _climbs(found["path"]):
        raise BadRecipe("reference", text, FORMS)
    return Reference(found["repository"], found["path"] or "", found["revision"] or "")


def _of_page(text: str, rest: str) -> Reference:
    from urllib.parse import unquote

    owner, _, after = unquote(rest).partition("/")
    name, slash, place = after.partition("/")
    found = _PAGE.fullmatch(slash + place)
    if found is None or _REFERENCE.fullmatch(f"{owner}/{name}") is None or _climbs(found["path"]):
        raise BadRecipe("reference", text, FORMS)
    revision = found["revision"] or ""
    return Reference(f"{owner}/{name}", found["path"] or "", "" if revision == "main" else revision)


def _climbs(path: str | None) -> bool:
    return any(part in {"", ".", ".."} for part in path.split("/")) if path else False


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _meant(wanted: Reference, files: Sequence[HubFile]) -> HubFile:
    """The file of that path, or the only one that can be meant. Raises NotFound, BadRecipe with all of them."""
    if wanted.path:
        found = next((file for file in files if file.path == wanted.path), None)
        if found is None:
            raise NotFound(f"file in {wanted.repository}", wanted.path, [file.path for file in files])
        return found
    weights = reading.weights_of(files)
    if len(weights) == 1:
        return weights[0]
    if not weights:
        raise BadRecipe("reference", str(wanted), "it has no .safetensors or .gguf file; choose another repository")
    listed = ", ".join(f"hf:{wanted.repository}/{file.path} ({_sized(file)})" for file in weights[:LISTED])
    more = f" and {len(weights) - LISTED} more" if len(weights) > LISTED else ""
    raise BadRecipe("reference", str(wanted), f"it has several files; name one: {listed}{more}")


def _sized(file: HubFile) -> str:
    if file.size is None:
        return "size unknown"
    return f"{file.size / 1e9:.2f} GB" if file.size >= 1e9 else f"{max(0.1, file.size / 1e6):.1f} MB"


def _filters(query: ModelQuery) -> list[str]:
    filters = [*([TAGS[query.model_type]] if query.model_type in TAGS else []), *query.tags]
    base = query.base_model or ""
    repository = base if "/" in base else BASES.get(family_of_base_model(base) or "", "")
    made_from = query.model_type == "lora" or "/" in base
    return [*filters, f"base_model:{repository}"] if repository and made_from else filters


def _wanted(info: Any, query: ModelQuery) -> bool:
    if reading.ADULT in (info.tags or ()) and not query.nsfw:
        return False
    if query.model_type not in {"all", reading.kind_of(info)}:
        return False
    base = query.base_model or ""
    wanted = family_of_base_model(base) if base and "/" not in base else None
    return wanted is None or _kin(reading.family_of(info)) == _kin(wanted)


def _kin(family: str) -> str:
    known = families().get(family)
    return known.kin if known else family


def _seen(ended: asyncio.Future[Path]) -> None:
    """Take note of how a stopped transfer ended, so that asyncio does not call it forgotten."""
    if not ended.cancelled():
        ended.exception()
