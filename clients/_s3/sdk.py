"""The minio SDK with what it lacks: short patience, big bodies sent in blocks, one page of a list at a time.

It imports minio and urllib3 at its top: import it where it is used, on a thread.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.datatypes import Object, parse_list_objects

from clients._s3.address import Address

USUAL_REGION = "us-east-1"
"""What S3 servers answer to that were told no other; AWS, and those that were, name theirs when asked with a wrong
one."""
BLOCK = 64 << 10
"""Bytes sent at once: the limit of seconds is one on every block, not on the whole body."""
LEFT_BEHIND = timedelta(days=1)
"""An upload in parts that is older was given up: no upload of ours takes nearly so long."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds that the SDK waits, for one try."""

    connect: float = 3.0
    answer: float = 20.0


class Sdk(Minio):
    """minio's client for one address and region."""

    def __init__(
        self, address: Address, keys: tuple[str, str] | None, region: str | None, patience: Patience, threads: int
    ) -> None:
        aws = (urlsplit(address.url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        access_key, secret_key = keys or (None, None)
        super().__init__(
            address.netloc,
            access_key,
            secret_key,
            secure=address.secure,
            region=region or (None if aws else USUAL_REGION),
            http_client=_Pool(patience, threads),
        )

    def region_of(self, bucket: str) -> str:
        """Asks AWS, when its address does not say; otherwise it is known."""
        return self._get_region(bucket)

    def acl(self, bucket: str) -> str:
        """Who may do what in the bucket, as XML."""
        return self._execute("GET", bucket, query_params={"acl": ""}).data.decode()

    def page(self, bucket: str, prefix: str, limit: int, start_after: str | None) -> tuple[list[Object], bool]:
        """At most `limit` (1000) objects, and whether there are more."""
        asked: dict[str, str | list[str] | tuple[str]] = {"list-type": "2", "prefix": prefix, "delimiter": ""}
        asked["max-keys"] = str(limit)
        if start_after:
            asked["start-after"] = start_after
        answer = self._execute("GET", bucket, query_params=asked)
        objects, more, _, _ = parse_list_objects(answer)
        return objects, more

    def forget_left_behind(self, bucket: str, key: str) -> int:
        """Remove the parts of uploads of this key that broke off long ago; how many there were."""
        before = datetime.now(UTC) - LEFT_BEHIND
        found = self._list_multipart_uploads(bucket, prefix=key).uploads
        old = [one for one in found if one.object_name == key and one.initiated_time and one.initiated_time < before]
        for upload in old:
            self._abort_multipart_upload(bucket, key, str(upload.upload_id))
        return len(old)

    def close(self) -> None:
        self._http.clear()


class _Pool(urllib3.PoolManager):
    """Connections with short limits. Whole bodies are given to urllib3 as files, which it sends block by block."""

    def __init__(self, patience: Patience, threads: int) -> None:
        super().__init__(
            maxsize=4 * threads,
            block=False,
            blocksize=BLOCK,
            timeout=urllib3.Timeout(connect=patience.connect, read=patience.answer),
            retries=urllib3.Retry(
                total=2,
                connect=1,
                read=1,
                status=1,
                backoff_factor=0.2,
                status_forcelist=[502, 504],
                raise_on_status=False,
                respect_retry_after_header=False,
            ),
            cert_reqs="CERT_REQUIRED",
            ca_certs=_authorities(),
        )

    def urlopen(self, method: str, url: str, redirect: bool = True, **given: Any) -> urllib3.BaseHTTPResponse:
        body = given.get("body")
        if isinstance(body, bytes) and len(body) > BLOCK:
            given["body"] = io.BytesIO(body)
        return super().urlopen(method, url, redirect, **given)


def _authorities() -> str:
    """The certificates that are trusted: those of the system's own setting, or the usual ones."""
    return os.environ.get("SSL_CERT_FILE") or certifi.where()
