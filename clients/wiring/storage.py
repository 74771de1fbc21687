"""Where files and rows lie, as the settings say: on this machine, in an object store, in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clients.config import BadSettings, Settings, secret
from clients.local_store import LocalStore
from workflows.errors import BadRecipe, ExtraMissing, StudioError

if TYPE_CHECKING:
    from clients.ledger import Ledger
    from clients.minio_client import MinIOClient
    from clients.wiring.judges import JudgeBench
    from workflows.changes import Changes
    from workflows.ports import Signer, Store


@dataclass(frozen=True)
class Vault:
    """The store in use, and what the App is told of it."""

    store: Store
    further: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def open_vault(settings: Settings, stack: AsyncExitStack) -> Vault:
    """The bucket of MINIO_ENDPOINT, with a spool on this machine; without one the folder of ATELIER_HOME."""
    folder = settings.atelier_home / "pictures"
    pictures = LocalStore(folder)
    if settings.minio_endpoint is None:
        return Vault(pictures)
    from clients.bucket_store import BucketStore, StraightStore
    from clients.earlier_store import EarlierStore
    from workflows.moving import Migration

    client = await stack.enter_async_context(minio_client(settings))
    spool = LocalStore(settings.atelier_home / "waiting")
    store = await stack.enter_async_context(BucketStore(client, spool, settings.atelier_home / "waiting.locks"))

    async def remarks() -> Sequence[str]:
        told = [(await store.status()).words, client.remark, await _left_behind(folder)]
        return [words for words in told if words]

    def migration(to: str) -> Migration:
        here, there = str(folder), f"{client.url}/{client.bucket}"
        if to == "s3":
            return Migration(source=pictures, target=StraightStore(client), source_name=here, target_name=there)
        if to == "local":  # with what waits for the bucket
            return Migration(source=store, target=pictures, source_name=there, target_name=here)
        raise BadRecipe("to", to, "it is s3 or local")

    whole = EarlierStore(store, pictures) if await _left_behind(folder) else store
    return Vault(whole, {"migration": migration, "storage_remarks": remarks})


def gallery_rooms(
    settings: Settings, ledger: Ledger, vault: Vault, bench: JudgeBench, changes: Changes
) -> dict[str, Any]:
    """The parts of the App that keep pictures, bring them in and hand them out."""
    from workflows.gallery import Gallery
    from workflows.importing import Imports

    tell = partial(changes.tell, "images")
    gallery = Gallery(
        ledger.items,
        vault.store,
        filing=ledger.filing,
        likenesses=ledger.likenesses,
        embedder=bench.embedder,
        previews=LocalStore(settings.atelier_home / "previews"),
        trash_days=settings.atelier_trash_days,
        on_change=tell,
    )
    imports = Imports(
        gallery=gallery,
        filing=ledger.filing,
        rules=bench.rules,
        gate=bench.gate,
        on_change=tell,
    )
    return {"gallery": gallery, "imports": imports, **vault.further}


def minio_client(settings: Settings) -> MinIOClient:
    """The object store of the settings; it asks nothing before the first call. Raises BadSettings."""
    from clients.minio_client import MinIOClient

    assert settings.minio_endpoint is not None
    try:
        return MinIOClient(
            settings.minio_endpoint,
            secret(settings.minio_access_key),
            secret(settings.minio_secret_key),
            public_endpoint=settings.minio_public_endpoint,
            secure=settings.minio_secure,
            region=settings.minio_region,
            bucket=settings.minio_bucket,
        )
    except ValueError as error:
        raise BadSettings(f"The object store cannot be used: {error}") from error


def open_signer(settings: Settings) -> Signer | None:
    """Raises ExtraMissing, BadSettings when certificate and key cannot be used."""
    if settings.atelier_c2pa_cert is None or settings.atelier_c2pa_key is None:
        return None
    from utils.signing import BadCertificate, C2paMissing, C2paSigner

    try:
        return C2paSigner(settings.atelier_c2pa_cert, settings.atelier_c2pa_key)
    except C2paMissing as missing:
        raise ExtraMissing("c2pa", "Signing pictures") from missing
    except BadCertificate as error:
        raise BadSettings(f"ATELIER_C2PA_CERT and ATELIER_C2PA_KEY cannot be used: {error}") from error


async def _left_behind(pictures: Path) -> str | None:
    def any_there() -> bool:
        return pictures.is_dir() and any(path.is_dir() and path.name != ".incoming" for path in pictures.iterdir())

    if not await asyncio.to_thread(any_there):
        return None
    return f"Pictures made before lie in {pictures}: 'atelier gallery migrate --to s3 --remove' brings them along."


async def storage_faults(settings: Settings) -> dict[str, str | None]:
    """What the settings name besides this machine, each with why it cannot be used; None where it can."""
    found: dict[str, str | None] = {}
    if settings.minio_endpoint is not None:
        async with minio_client(settings) as client:
            found[f"Object store {client.url}/{client.bucket}"] = await _fault(client.ensure_bucket())
    if settings.is_shared:
        found["PostgreSQL"] = await _fault(_opened(settings))
    if settings.atelier_c2pa_cert is not None:
        found["Certificate"] = await _fault(asyncio.to_thread(open_signer, settings))
    return found


async def _opened(settings: Settings) -> None:
    from clients.ledger import open_ledger

    async with open_ledger(settings.ledger):
        return


async def _fault(work: Awaitable[object]) -> str | None:
    try:
        await work
    except (StudioError, BadSettings) as error:
        return str(error)
    return None
