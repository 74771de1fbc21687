"""CivitAIClient: CivitAI's search, models, versions, hashes and offers; MetadataFetcher: what it says of files.

Neither downloads a weight file. httpx2 and no package of others: none of those that speak this API is kept up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

from clients._civitai.answers import (
    SOURCE,
    check_offered,
    early_access,
    found_models,
    newest,
    offer_of,
    search_params,
)
from clients._civitai.metadata import MetadataFetcher, ModelMetadata, Updated
from clients._civitai.references import Named, parse
from clients._civitai.site import BACKOFF, KEY_SETTING, MIN_INTERVAL, PATIENCE, BadRequest, Site
from utils.civitai import SITE, count_of, rows_of, table_of, text_of
from workflows.errors import AccessDenied, BadRecipe, NotFound
from workflows.types import FoundModel, ModelQuery, Offer

__all__ = ["CivitAIClient", "MetadataFetcher", "ModelMetadata", "Updated"]

PAGES = 4
"""Pages that one search reads at most, where rows of the first are dropped here."""
AT_ONCE = 100
"""Hashes in one request."""


class CivitAIClient:
    """The ModelSource port, and the routes behind it in CivitAI's own words. It opens nothing before the first call.

    Every call raises ServiceUnavailable, RateLimited, AccessDenied or ServiceError when there is no good answer.
    """

    name = SOURCE

    def __init__(
        self,
        base_url: str = SITE,
        api_key: str | None = None,
        *,
        min_interval: float = MIN_INTERVAL,
        backoff: float = BACKOFF,
        patience: float = PATIENCE,
    ) -> None:
        """`base_url`: as CIVITAI_URL is written. Raises ValueError.

        Seconds: `min_interval` between two requests of this process to the host, `backoff` before a second try,
        `patience` for all rests between the tries of one request.
        """
        self._site = Site(base_url, api_key=api_key, min_interval=min_interval, backoff=backoff, patience=patience)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        await self._site.aclose()

    async def search(self, query: ModelQuery) -> Sequence[FoundModel]:
        """At most `query.limit` models that can be downloaded, in the order of `query.sort`.

        None is no proof that there is none: some hosts and countries are shown less. Raises BadRecipe besides.
        """
        params = search_params(query)
        found: dict[str, FoundModel] = {}
        for _ in range(PAGES):
            page = await self._page(params)
            for model in await asyncio.to_thread(found_models, rows_of(page.get("items")), query):
                found.setdefault(model.reference, model)
            cursor = _cursor(page)
            if len(found) >= query.limit or not cursor or cursor == params.get("cursor"):
                break
            params["cursor"] = cursor
        return tuple(found.values())[: query.limit]

    async def _page(self, params: dict[str, str | Sequence[str]]) -> dict[str, Any]:
        """A page of a search. The site takes only the base models that it knows today; the rows are sifted here too."""
        try:
            return table_of(await self._site.get("/models", params))
        except BadRequest:
            if not params.pop("baseModels", None):
                raise
            return table_of(await self._site.get("/models", params))

    async def model(self, model_id: int) -> dict[str, Any]:
        """A model with its versions, as the API gives it. Raises NotFound."""
        return await self._found(f"/models/{int(model_id)}", "CivitAI model", str(model_id))

    async def version(self, version_id: int) -> dict[str, Any]:
        """One version with the little that it tells of its model. Raises NotFound."""
        return await self._found(f"/model-versions/{int(version_id)}", "CivitAI model version", str(version_id))

    async def by_hash(self, file_hash: str) -> dict[str, Any] | None:
        """The version that has a file of that hash (SHA-256, AutoV2, BLAKE3, CRC32, ...); None when none is known."""
        found = table_of(await self._site.get(f"/model-versions/by-hash/{_hex(file_hash)}"))
        return found if count_of(found.get("id")) is not None else None

    async def by_hashes(self, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The versions for those of the hashes that are known, by the hash as it was given."""
        asked = {_hex(one): one for one in hashes}
        keys = list(asked)
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), AT_ONCE):
            answer: object = await self._site.post("/model-versions/by-hash", keys[start : start + AT_ONCE])
            for version in rows_of(answer):
                found |= {asked[one]: version for one in _hashes(version) if one in asked}
        return found

    async def offer(self, reference: str, version: str | None = None) -> Offer:
        """The weight file that a reference means: safetensors before pickles, then the version's primary file.

        `reference`: civitai:MODEL or civitai:MODEL@VERSION, a model's number, an AIR, or the address of a page or a
        download; without a version the newest that can be had. `version`: its number or name. Raises BadRecipe,
        NotFound for what its creator or the site withdrew, AccessDenied for what only buyers may have so far.
        """
        named = parse(reference, self._site.host)
        if version is not None and (number := version.strip().removeprefix("@")).isdecimal():
            named, version = Named(named.model, int(number)), None
        chosen, model = await self._chosen(named, version)
        ends = early_access(chosen)
        if ends and not self._site.has_key:
            said = f"{named} is in early access until {ends}: only who bought it on its page may download it."
            raise AccessDenied(f"{said} Then set {KEY_SETTING} to that account's key.", KEY_SETTING)
        file = check_offered(chosen, model, str(named))
        return await asyncio.to_thread(offer_of, chosen, model, file, self._site.url)

    async def headers(self, offer: Offer) -> Mapping[str, str]:
        """For fetching the offer: our name, and the key when the address is on the API's own host."""
        headers = self._site.headers
        return headers if self._site.owns(offer.url) else {"User-Agent": headers["User-Agent"]}

    async def _chosen(self, named: Named, version_name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The version that is meant, and its model."""
        if named.version is None:
            model = await self.model(named.model or 0)
            return newest(model, version_name, str(named)) | {"modelId": model.get("id")}, model
        chosen = await self.version(named.version)
        owner = count_of(chosen.get("modelId")) or named.model
        if named.model is not None and owner != named.model:
            raise BadRecipe("version", named.version, f"it is a version of civitai:{owner}, not of {named.model}")
        parent: object = await self._site.get(f"/models/{owner}") if owner else None
        return chosen, table_of(chosen.get("model")) | table_of(parent)

    async def _found(self, path: str, kind: str, shown: str) -> dict[str, Any]:
        found = table_of(await self._site.get(path))
        if count_of(found.get("id")) is None:
            hint = "It may have been deleted, or be hidden from this host or country."
            raise NotFound(kind, shown, hint=hint)
        return found


def _cursor(page: Mapping[str, Any]) -> str:
    cursor = table_of(page.get("metadata")).get("nextCursor")
    return str(cursor) if isinstance(cursor, int | str) else ""


def _hex(file_hash: str) -> str:
    """Raises BadRecipe for what is no hash."""
    text = file_hash.strip()
    if not (8 <= len(text) <= 64 and all(letter in "0123456789abcdefABCDEF" for letter in text)):
        raise BadRecipe("hash", file_hash, "it is 8 to 64 hexadecimal digits, such as a file's SHA-256")
    return text.upper()


def _hashes(version: Mapping[str, Any]) -> set[str]:
    files = rows_of(version.get("files"))
    return {text_of(told).upper() for file in files for told in table_of(file.get("hashes")).values()}
