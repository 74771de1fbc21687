"""Housekeeping: what a process that serves does for the gallery by itself, now and then."""

from __future__ import annotations

import asyncio
import logging

from workflows.errors import StorageError
from workflows.gallery.gallery import Gallery

log = logging.getLogger("atelier.gallery")

EVERY_SECONDS = 3600.0


async def keep_tidy(gallery: Gallery, pause: float = EVERY_SECONDS) -> None:
    """Complete what was left half moved, erase what was long enough in the trash, drop the oldest previews; for ever.

    A fault is logged and ends that round: the next one tries again.
    """
    while True:
        try:
            mended, erased = await gallery.mend(), await gallery.expire()
            await gallery.trim_previews()
            if mended or erased:
                log.info("gallery: %d moves completed, %d pictures of the trash erased", mended, erased)
        except StorageError as error:
            log.warning("the gallery could not be tidied: %s", error)
        await asyncio.sleep(pause)
