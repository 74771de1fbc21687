"""Bucket: one bucket of an S3 server, in blocking calls for worker threads. Every put is checked against what the
server says it has."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from clients._s3.address import Address
from clients._s3.faults import DAMAGED, MISSING, Place, s3_errors, told_region
from clients._s3.objects import DIGEST, ObjectPage, Stored, attachment, etag_of, headers_of, metadata_in
from workflows.errors import NotFound, ServiceFailed, StorageError

if TYPE_CHECKING:
    from minio.datatypes import Object

    from clients._s3.sdk import Sdk

log = logging.getLogger("atelier.s3")

T = TypeVar("T")

PAGE = 1000
"""Objects in one answer of a list, at most: S3's own limit, and that of deletes at once."""
TRIES = 2
"""How often a transfer is made whose bytes arrive damaged or break off."""


RACED = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists", "OperationAborted"})
"""What servers say to the second of two who make a bucket at the same moment."""
LOOKS = (0.1, 0.3, 1.0)
"""Seconds between looks for a bucket that the first of the two is still making."""


class Bucket:
    """Thread-safe. `part_bytes`: bigger files go in parts of this size (5 MiB at least, by S3's rules)."""

    def __init__(
        self,
        name: str,
        address: Address,
        public: Address,
        keys: tuple[str, str] | None,
        region: str | None,
        *,
        connect_seconds: float,
        answer_seconds: float,
        part_bytes: int,
        threads: int,
    ) -> None:
        self.name = name
        self.remark: str | None = None
        """What the owner should know of the bucket, once it was looked at."""
        self._address = address
        self._public = public
        self._keys = keys
        self._region = region
        self._region_is_given = region is not None
        self._seconds = connect_seconds, answer_seconds
        self._part_bytes = part_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._sdk: Sdk | None = None
        self._signer: Sdk | None = None
        self._looking = threading.Lock()
        self._is_there = False

    def ensure(self) -> None:
        """Make the bucket when it is not there; later calls ask nothing."""
        with self._looking:
            if self._is_there:
                return
            self._call(self._make)
            self.remark = self._call(self._openness)
            self._is_there = True
        if self.remark:
            log.warning("%s", self.remark)

    def put(self, key: str, content: bytes, media_type: str, metadata: Mapping[str, str]) -> Stored:
        """Raises StorageError when the server does not have these bytes after all tries; then it has none."""
        self.ensure()
        digest = hashlib.sha256(content).hexdigest()
        headers = headers_of({**metadata, DIGEST: digest})
        told = etag_of(content, self._part_bytes)
        for _ in range(TRIES):
            etag = self._send(key, content, media_type, headers)
            if etag == told or (etag is not None and self._has(key, content, told)):
                kept = {**metadata, DIGEST: digest}
                return Stored(key=key, size=len(content), etag=etag or told, media_type=media_type, metadata=kept)
            log.warning("%s arrived damaged in bucket %s", key, self.name)
        self.delete(key)
        raise StorageError(
            f"{key} arrives damaged at {self._address.url}, {TRIES} times in a row: something on the way "
            "changes bytes. Check the network and its proxies, or use TLS (MINIO_SECURE)."
        )

    def get(self, key: str) -> tuple[bytes, Stored]:
        """Raises NotFound, StorageError when the bytes are not those that were put."""
        self.ensure()
        for last in (False, True):
            try:
                content, stored = self._call(lambda sdk: self._receive(sdk, key), key)
            except ServiceFailed:
                if last:
                    raise
                continue
            if stored.sha256 in {None, hashlib.sha256(content).hexdigest()}:
                return content, stored
        raise StorageError(f"{key} in bucket {self.name} is damaged: its bytes are not those that were put there.")

    def stat(self, key: str) -> Stored:
        """Raises NotFound."""
        self.ensure()
        return _stored(self._call(lambda sdk: sdk.stat_object(self.name, key), key))

    def page(self, prefix: str, limit: int, start_after: str | None) -> ObjectPage:
        self.ensure()
        found, more = self._call(lambda sdk: sdk.page(self.name, prefix, limit, start_after))
        objects = tuple(_stored(one) for one in found)
        return ObjectPage(objects=objects, next=objects[-1].key if more and objects else None)

    def delete(self, key: str) -> None:
        """What is not there is no error."""
        self.ensure()
        with suppress(NotFound):
            self._call(lambda sdk: sdk.remove_object(self.name, key), key)

    def delete_many(self, keys: Sequence[str]) -> None:
        """Raises StorageError that names the first that could not be deleted."""
        self.ensure()
        failed = self._call(lambda sdk: _delete_all(sdk, self.name, keys))
        if failed:
            key, code = failed[0]
            raise StorageError(
                f"{len(failed)} of {len(keys)} files could not be deleted from bucket {self.name}: "
                f"{key} ({code}) and so on."
            )

    def link(self, key: str, seconds: int, download_name: str | None) -> str:
        """A presigned URL for the public address; asks nobody (but AWS, once, whose region is nowhere told)."""
        with self._lock:
            if self._signer is None:
                self._signer = self._connect(self._public)
            signer = self._signer
        if self._region is None:
            self._signed_for(signer)
        answer: dict[str, Any] = {"response-content-disposition": attachment(download_name)} if download_name else {}
        with s3_errors(Place(self._public.url, self.name, key)):
            return signer.presigned_get_object(self.name, key, timedelta(seconds=seconds), response_headers=answer)

    def close(self) -> None:
        with self._lock:
            for sdk in (self._sdk, self._signer):
                if sdk is not None:
                    sdk.close()
            self._sdk = self._signer = None

    def _signed_for(self, signer: Sdk) -> None:
        """Resolve the region before signing, with our words for what may go wrong."""
        with s3_errors(Place(self._public.url, self.name)):
            signer.region_of(self.name)

    def _make(self, sdk: Sdk) -> None:
        from minio.error import S3Error

        try:
            sdk.page(self.name, "", 1, None)
        except S3Error as error:
            if error.code == "AccessDenied":  # keys for objects alone; those calls say it when it is more than that
                log.info("these keys may not list bucket %s; it is taken to be there", self.name)
                return
            if error.code != "NoSuchBucket":
                raise
            log.info("making bucket %s at %s", self.name, self._address.url)
            try:
                sdk.make_bucket(self.name)
            except S3Error as raced:
                if raced.code not in RACED:
                    raise
                self._await_other(sdk)

    def _await_other(self, sdk: Sdk) -> None:
        """See the bucket that another process makes right now. Raises S3Error when it does not come, or is not ours."""
        from minio.error import S3Error

        for wait in (*LOOKS, None):
            try:
                sdk.page(self.name, "", 1, None)
                return
            except S3Error as error:
                if wait is None or error.code != "NoSuchBucket":
                    raise
            time.sleep(wait)

    def _openness(self, sdk: Sdk) -> str | None:
        """A warning when everybody may read the bucket; a key that may not ask gives none."""
        from minio.error import MinioException

        ways: list[str] = []
        with suppress(MinioException, ValueError):
            if _policy_is_public(sdk.get_bucket_policy(self.name)):
                ways.append("its policy")
        with suppress(MinioException):
            acl = sdk.acl(self.name)
            if "groups/global/AllUsers" in acl or "groups/global/AuthenticatedUsers" in acl:
                ways.append("its access list")
        if not ways:
            return None
        told = "Atelier did not do that and leaves it so; make it private if that was not meant"
        return f"Bucket {self.name} at {self._address.url} is open to everybody by {' and '.join(ways)}. {told}."

    def _send(self, key: str, content: bytes, media_type: str, headers: Mapping[str, str]) -> str | None:
        """The ETag that the server tells ("" when it tells none), or None when it saw damaged bytes."""
        from minio.error import S3Error

        def write(sdk: Sdk) -> str:
            written = sdk.put_object(
                self.name,
                key,
                io.BytesIO(content),
                len(content),
                content_type=media_type,
                metadata=dict(headers),
                part_size=self._part_bytes,
            )
            return (written.etag or "").strip('"')

        def send(sdk: Sdk) -> str | None:
            if len(content) > self._part_bytes:
                with suppress(S3Error):
                    sdk.forget_left_behind(self.name, key)
            try:
                return write(sdk)
            except S3Error as error:
                if error.code in DAMAGED:
                    return None
                if error.code != "NoSuchBucket":
                    raise
            self._make(sdk)  # it was taken away while we ran
            return write(sdk)

        return self._call(send, key)

    def _has(self, key: str, content: bytes, told: str) -> bool:
        """Whether the server has these bytes, although it told another ETag (or none) when it took them."""
        try:
            if self.stat(key).etag == told:
                return True
            # An encrypted bucket has ETags of its own kind: only the bytes can tell.
            return self._call(lambda sdk: self._receive(sdk, key), key)[0] == content
        except NotFound:
            return False

    def _receive(self, sdk: Sdk, key: str) -> tuple[bytes, Stored]:
        answer = sdk.get_object(self.name, key)
        try:
            content = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        stored = Stored(
            key=key,
            size=len(content),
            etag=answer.headers.get("etag", "").strip('"'),
            media_type=answer.headers.get("content-type", ""),
            metadata=metadata_in(answer.headers),
        )
        return content, stored

    def _call(self, work: Callable[[Sdk], T], key: str | None = None) -> T:
        """Do it with the SDK; a server that names another region is asked once more for that one."""
        from minio.error import S3Error

        sdk = self._connected()
        with s3_errors(Place(self._address.url, self.name, key)):
            try:
                return work(sdk)
            except S3Error as error:
                region = told_region(error)
                if region is None or self._region_is_given or region == self._region:
                    raise
        self._move_to(region)
        with s3_errors(Place(self._address.url, self.name, key)):
            return work(self._connected())

    def _connected(self) -> Sdk:
        with self._lock:
            if self._sdk is None:
                self._sdk = self._connect(self._address)
            return self._sdk

    def _connect(self, address: Address) -> Sdk:
        from clients._s3.sdk import Patience, Sdk

        connect, answer = self._seconds
        try:
            return Sdk(address, self._keys, self._region, Patience(connect=connect, answer=answer), self._threads)
        except ValueError as error:
            told = f"The S3 settings cannot be used: {error}. Check MINIO_ENDPOINT and MINIO_REGION."
            raise StorageError(told) from error

    def _move_to(self, region: str) -> None:
        log.info("%s serves region %s", self._address.url, region)
        with self._lock:
            self._region, self._sdk, self._signer = region, None, None


def _stored(told: Object) -> Stored:
    return Stored(
        key=told.object_name or "",
        size=told.size or 0,
        etag=(told.etag or "").strip('"'),
        modified=told.last_modified,
        media_type=told.content_type or "",
        metadata=metadata_in(cast(Mapping[str, str], told.metadata or {})),
    )


def _delete_all(sdk: Sdk, bucket: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    from minio.deleteobjects import DeleteObject

    failed = list(sdk.remove_objects(bucket, [DeleteObject(key) for key in keys]))
    return [(one.name or "", one.code) for one in failed if one.code not in MISSING]


def _policy_is_public(policy: str) -> bool:
    """Whether a statement lets everybody do something, without conditions."""
    told: Any = json.loads(policy)
    statements: Any = cast(dict[str, Any], told).get("Statement") if isinstance(told, dict) else None
    listed = cast(list[Any], statements) if isinstance(statements, list) else [statements]
    return any(_is_for_all(cast(dict[str, Any], one)) for one in listed if isinstance(one, dict))


def _is_for_all(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    named: Any = cast(dict[str, Any], principal).get("AWS") if isinstance(principal, dict) else principal
    everybody = named == "*" or (isinstance(named, list) and "*" in named)
    return statement.get("Effect") == "Allow" and everybody and not statement.get("Condition")
