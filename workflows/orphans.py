"""Orphans: jobs whose process died while this one lives, here or on another machine, taken over."""

from __future__ import annotations

import asyncio
import logging
import random

from workflows.errors import StorageError
from workflows.studio import Studio

log = logging.getLogger("atelier.studio")

EVERY_SECONDS = 30.0
LEFT_WITHOUT_A_WORD = ("queued", "running")
"""What only a process that died leaves so; one that ends in order marks its jobs, and whoever starts next resumes
them."""


async def keep_taking_over(studio: Studio) -> None:
    """Look for such jobs now and then, for ever; several processes do not look at the same moment.

    A fault is logged and ends that round: the next one tries again.
    """
    while True:
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.5, 1.5))
        try:
            for job in await studio.recover(resume=True, states=LEFT_WITHOUT_A_WORD):
                log.info("job %s is taken over: its process is gone", job.id)
        except StorageError as error:
            log.warning("jobs of processes that are gone could not be looked for: %s", error)
