"""What FAL says of a model: the inputs of an endpoint, and its price. Asked once each; silence is no error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from clients._fal.models import Model, guessed, learned
from clients._http import USER_AGENT
from workflows.errors import ModelMissing

log = logging.getLogger("atelier.fal")

SCHEMA_URL = "https://fal.ai/api/openapi/queue/openapi.json"
PRICE_URL = "https://api.fal.ai/v1/models/pricing"
SECONDS = 8.0


class Schemas:
    """Asks FAL of models that are not known here."""

    def __init__(self, key: str | None, schema_url: str = SCHEMA_URL, price_url: str = PRICE_URL) -> None:
        self._key = key
        self._schema_url = schema_url
        self._price_url = price_url
        self._models: dict[str, Model] = {}
        self._prices: dict[str, tuple[str, float] | None] = {}
        self._asking = asyncio.Lock()

    async def model(self, name: str) -> Model:
        """The model by its schema; a guess where FAL does not say. Raises ModelMissing; ValueError for one that draws
        nothing."""
        async with self._asking:
            if name not in self._models:
                status, schema = await self._asked(self._schema_url, name)
                if status == 404:
                    raise ModelMissing(f"FAL has no model {name!r}. Its models: fal.ai/models")
                self._models[name] = _read(name, schema)
            return self._models[name]

    async def price(self, name: str) -> tuple[str, float] | None:
        """What FAL asks for: the unit (image, megapixel, second, ...) and US dollars for one; None: it does not say."""
        async with self._asking:
            if name not in self._prices:
                _, answer = await self._asked(self._price_url, name)
                self._prices[name] = _price(name, answer)
            return self._prices[name]

    async def _asked(self, url: str, name: str) -> tuple[int, object]:
        """Status and JSON of the answer; 0 and None where there is none."""
        await asyncio.to_thread(import_module, "httpx2")  # its first import reads files
        import httpx2

        headers = {"User-Agent": USER_AGENT} | ({"Authorization": f"Key {self._key}"} if self._key else {})
        try:
            client = await asyncio.to_thread(lambda: httpx2.AsyncClient(timeout=SECONDS, headers=headers))
            async with client:
                response = await client.get(url, params={"endpoint_id": name})
                return response.status_code, response.json()
        except (httpx2.HTTPError, ValueError) as error:
            log.info("FAL does not say anything of %s: %s", name, error)
            return 0, None


def _read(name: str, schema: object) -> Model:
    if not isinstance(schema, Mapping):
        return guessed(name)
    try:
        return learned(name, schema)  # pyright: ignore[reportUnknownArgumentType]
    except (KeyError, TypeError, AttributeError) as error:
        log.info("FAL's schema of %s could not be read: %r", name, error)
        return guessed(name)


def _price(name: str, answer: Any) -> tuple[str, float] | None:
    try:
        row = next(one for one in answer["prices"] if one["endpoint_id"] == name and one["currency"] == "USD")
        return str(row["unit"]).lower(), float(row["unit_price"])
    except (KeyError, TypeError, ValueError, StopIteration):
        return None
