"""S3 servers on loopback, one of each for a whole test run: moto's in this process, and a real one, Ceph's gateway.

Moto knows no wrong key and no expired link; Ceph is strict in all of it, but takes 15 s to start and is only there
where Debian's packages are.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.minio_client import MinIOClient
from tests.services.apt import have

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-base", "ceph-common")
ACCESS_KEY, SECRET_KEY = "testaccess", "testsecretkey"
START_SECONDS = 120


@dataclass(frozen=True)
class S3Server:
    """Where a server is, and the keys that it takes."""

    host: str
    port: int
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    def client(self, bucket: str | None = None, *, port: int | None = None, part_bytes: int = 5 << 20) -> MinIOClient:
        """A client with short patience, for a bucket of its own. `port`: of a proxy in between."""
        return MinIOClient(
            f"{self.host}:{port or self.port}",
            self.access_key,
            self.secret_key,
            bucket=bucket or fresh_bucket(),
            part_bytes=part_bytes,
            connect_seconds=2,
            answer_seconds=10,
        )


def fresh_bucket() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@functools.cache
def moto() -> S3Server:
    """Moto's server, in threads of this process."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return S3Server(host, port)


@functools.cache
def ceph() -> Ceph | str:
    """Ceph's gateway with what it needs; or why it cannot be had."""
    if not have("radosgw", *PACKAGES):
        return "Ceph is not here (radosgw of Debian's packages), and this user cannot install it"
    cluster = Ceph()
    atexit.register(cluster.stop)
    try:
        cluster.start()
    except (OSError, subprocess.SubprocessError, TimeoutError) as error:
        cluster.stop()
        return f"Ceph does not start here: {error}"
    return cluster


class Ceph:
    """A monitor, one OSD that keeps everything in memory, and the gateway. They die with this process, however it
    dies. Start and restart from the main thread: the kernel counts the starting thread as the parent."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="s3-"))  # short: sockets lie in it
        self.server = S3Server("127.0.0.1", free_port())
        self._monitors = (free_port(), free_port())
        self._configuration = self.folder / "ceph.conf"
        self._environment = os.environ | {"CEPH_CONF": str(self._configuration)}
        self._running: list[subprocess.Popen[bytes]] = []
        self._gateway: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises OSError, SubprocessError, TimeoutError."""
        cluster = str(uuid.uuid4())
        self._configure(cluster)
        self._make_keys()
        self._start_monitor(cluster)
        self._start_disk()
        self.start_gateway()
        self._ask("radosgw-admin", "user", "create", "--uid=t", "--display-name=t",
                  f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")  # fmt: skip

    def start_gateway(self) -> None:
        """The gateway alone; what it stored before is still there."""
        self._gateway = self._daemon("radosgw", "-n", "client.rgw.t")
        until = time.monotonic() + START_SECONDS
        while not _listens(self.server.port):
            if self._gateway.poll() is not None or time.monotonic() > until:
                raise TimeoutError(f"the gateway does not listen; see {self.folder}/log")
            time.sleep(0.05)

    def kill_gateway(self) -> None:
        """At once and without a word to anyone, as when the power goes."""
        assert self._gateway is not None
        self._gateway.kill()
        self._gateway.wait()

    def stop(self) -> None:
        for daemon in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                daemon.send_signal(signal.SIGKILL)
            daemon.wait()
        self._running.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self, cluster: str) -> None:
        for name in ("mon", "osd", "rgw", "run", "log"):
            (self.folder / name).mkdir()
        first, second = self._monitors
        settings = {
            **_SETTINGS,
            "fsid": cluster,
            "mon_host": f"v2:127.0.0.1:{first}/0,v1:127.0.0.1:{second}/0",
            "run_dir": self.folder / "run",
            "admin_socket": self.folder / "run/$name.asok",
            "pid_file": self.folder / "run/$name.pid",
            "log_file": self.folder / "log/$name.log",
            "keyring": self.folder / "keyring",
            "mon_data": self.folder / "mon",
            "osd_data": self.folder / "osd",
            "rgw_data": self.folder / "rgw",
            "rgw_frontends": f"beast endpoint=127.0.0.1:{self.server.port}",
        }
        lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _make_keys(self) -> None:
        """One keyring for all: the gateway hangs where it has to look for a second."""
        ring = str(self.folder / "keyring")
        everything = [word for service in ("mon", "osd", "mgr") for word in ("--cap", service, "allow *")]
        self._ask("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "client.rgw.t", "osd.0"):
            self._ask("ceph-authtool", ring, "--gen-key", "-n", name, *everything)

    def _start_monitor(self, cluster: str) -> None:
        first, second = self._monitors
        where, known = f"[v2:127.0.0.1:{first},v1:127.0.0.1:{second}]", str(self.folder / "monmap")
        self._ask("monmaptool", "--create", "--fsid", cluster, "--addv", "a", where, known)
        self._ask("ceph-mon", "--mkfs", "-i", "a", "--monmap", known, "--keyring", str(self.folder / "keyring"))
        self._daemon("ceph-mon", "-i", "a")

    def _start_disk(self) -> None:
        disk = str(uuid.uuid4())
        number = self._ask("ceph", "--connect-timeout", "60", "osd", "new", disk).strip()
        self._ask("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", disk)
        self._ask("ceph", "osd", "crush", "add", f"osd.{number}", "1", "root=default", "host=h")
        self._daemon("ceph-osd", "-i", number)
        until = time.monotonic() + START_SECONDS
        while "1 up" not in self._ask("ceph", "osd", "stat"):
            if time.monotonic() > until:
                raise TimeoutError(f"the disk does not come up; see {self.folder}/log")

    def _daemon(self, *command: str) -> subprocess.Popen[bytes]:
        words = ["setpriv", "--pdeathsig", "KILL", "--", command[0], "-f", "-c", str(self._configuration), *command[1:]]
        with (self.folder / "log" / f"{command[0]}.out").open("ab") as log:
            daemon = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment, start_new_session=True)
        self._running.append(daemon)
        return daemon

    def _ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self._environment, capture_output=True, timeout=START_SECONDS, check=False)
        if done.returncode:
            raise subprocess.SubprocessError(f"{command[0]}: {done.stderr.decode(errors='replace')[-300:]}")
        return done.stdout.decode()


_SETTINGS: Mapping[str, object] = {
    "public_network": "127.0.0.0/8",
    "cluster_network": "127.0.0.0/8",
    "public_addr": "127.0.0.1",
    "auth_cluster_required": "cephx",
    "auth_service_required": "cephx",
    "auth_client_required": "cephx",
    "osd_pool_default_size": 1,
    "osd_pool_default_min_size": 1,
    "osd_pool_default_pg_num": 4,
    "osd_pool_default_pgp_num": 4,
    "osd_pool_default_pg_autoscale_mode": "off",
    "mon_allow_pool_size_one": "true",
    "mon_max_pg_per_osd": 1000,
    "mon_data_avail_crit": 1,
    "mon_data_avail_warn": 2,
    "osd_crush_chooseleaf_type": 0,
    "osd_objectstore": "memstore",
    "memstore_device_bytes": 4 << 30,
    "rgw_enable_usage_log": "false",
    "rgw_cache_enabled": "false",  # or a gateway that was killed is waited for by the next one, half a minute
    "rgw_thread_pool_size": 64,
}


def free_port() -> int:
    """A port on loopback that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def seeded(bucket: str, keys: Sequence[str]) -> None:
    """Objects of one byte each, put straight into moto's memory: over HTTP, thousands take half a minute."""
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for key in keys:
        backend.put_object(bucket, key, b"x")


BOTH = ("moto", "ceph")


def named(server: str) -> S3Server:
    """One of BOTH. Skips the test where that one cannot be had, with the reason."""
    if server == "moto":
        return moto()
    cluster = ceph()
    if isinstance(cluster, str):
        pytest.skip(cluster)
    return cluster.server
