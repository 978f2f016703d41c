"""The embedded database: PostgreSQL with TimescaleDB, on loopback TCP only, tuned for its machine."""

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from hub.errors import BadSetting, BeffroiError, DatabaseUnavailable
from hub.runtime.archive import TIMEOUT_S, archive_command, as_value
from hub.runtime.process import Process, Program, command, give_to_servers, server_uid
from hub.runtime.programs import version_in
from hub.secrets import Secrets, owner_of, private_folder, write_private
from hub.settings import Settings

ADMIN = "postgres"
NAME = "beffroi"
"""Of the hub's role and of its database."""
MIB = 1024 * 1024
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""Not the hub's own: PGPORT, LD_LIBRARY_PATH and the like would mislead it."""

# Administration of the server itself, before there is a schema: the only SQL outside of store/.
CREATE_ROLE = "CREATE ROLE beffroi LOGIN CREATEROLE PASSWORD {}"
CREATE_DATABASE = "CREATE DATABASE beffroi OWNER beffroi"
CREATE_EXTENSION = "CREATE EXTENSION timescaledb"
EXTENSION_VERSIONS = "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
UPDATE_EXTENSION = "ALTER EXTENSION timescaledb UPDATE"
HAS_ROLE = "SELECT count(*) FROM pg_roles WHERE rolname = 'beffroi'"
HAS_DATABASE = "SELECT count(*) FROM pg_database WHERE datname = 'beffroi'"
WAKE_CHECKPOINTER = "CHECKPOINT"
"""At a start it falls asleep until its first checkpoint, 15 minutes, and archive_timeout, which it keeps, with it."""
ALLOW_TEST_DATABASES = "ALTER ROLE beffroi CREATEDB"


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where the embedded database's programs and data are, and where it listens."""

    programs: Path
    """Folder of postgres and initdb."""
    home: Path
    """The hub's home, absolute."""
    port: int
    test: bool = False
    """Forget durability over a power cut, and let the role make databases that have TimescaleDB already."""
    archive: Path | None = None
    """Where it puts its write-ahead log, absolute."""

    @classmethod
    def of(cls, settings: Settings, programs: Path, *, test: bool = False) -> "Postgres":
        archive = settings.archive.resolve() if settings.archive else None
        return cls(programs, settings.home.resolve(), settings.postgres_port, test, archive)

    @property
    def folder(self) -> Path:
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def program(self) -> Program:
        return Program(
            name="postgres",
            argv=(self._binary("postgres"), "-D", self.data),
            env=ENVIRONMENT,
            stop_signal=signal.SIGINT,  # its "fast" stop: sessions end, nothing is recovered at next start
            grace_s=30,
            is_server=True,
            cwd=self.folder,
        )

    async def prepare(self, secrets: Secrets) -> None:
        """Make the cluster when there is none, and write its configuration afresh."""
        give_to_servers(private_folder(self.folder))
        if not (self.data / "PG_VERSION").exists():
            await self._make_cluster(secrets)
        elif self.data.stat().st_uid != server_uid():
            raise BadSetting(
                f"the database in {self.data} belongs to the account {owner_of(self.data)}, which started this hub "
                "before; start it as that account, or set BEFFROI_HOME to another folder"
            )
        if self.archive:
            self._open_archive(self.archive)
        access = "".join(f"host {what} 127.0.0.1/32 scram-sha-256\n" for what in ("all all", f"replication {ADMIN}"))
        for name, text in (("postgresql.conf", configuration(self)), ("pg_hba.conf", access)):
            write_private(self.data / name, text)
            give_to_servers(self.data / name)

    def _open_archive(self, folder: Path) -> None:
        """Make the archive's folder. BadSetting when it lies in the home, which it is to outlive.

        A disk that is not there just now must not keep a city's hub from starting: the archiver then fails, which is a
        fault on the health page.
        """
        if folder.is_relative_to(self.home):
            raise BadSetting(f"BEFFROI_ARCHIVE: {folder} lies in the home, which it is to outlive; name one elsewhere")
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            give_to_servers(folder)

    async def wait_ready(self, process: Process, secrets: Secrets, limit_s: float = 120.0) -> None:
        """Return when it answers; the limit covers a recovery. DatabaseUnavailable otherwise."""
        deadline_s = asyncio.get_running_loop().time() + limit_s
        while process.exit_code is None and asyncio.get_running_loop().time() < deadline_s:
            try:
                await (await self._connect(secrets, "postgres")).close()
                return
            except psycopg.OperationalError as error:
                if "authentication failed" in str(error):
                    raise DatabaseUnavailable(
                        f"the database in {self.data} was made with another {self.home / 'secrets.json'}; "
                        "put that file back, or remove both to begin with an empty hub"
                    ) from error
                await asyncio.sleep(0.05)
        raise DatabaseUnavailable(
            f"the embedded database did not start: {process.last_words()} (all of it in {process.log})"
        )

    async def create_database(self, secrets: Secrets) -> None:
        """Make role, database and extension where they are missing, and bring the extension up to date.

        DatabaseUnavailable when the database was last used with a newer TimescaleDB than this server has.
        """
        async with await self._connect(secrets, "postgres") as admin:
            if not await _count(admin, HAS_ROLE):
                await admin.execute(sql.SQL(CREATE_ROLE).format(secrets.postgres))
            if not await _count(admin, HAS_DATABASE):
                await admin.execute(CREATE_DATABASE)
            if self.archive:
                await admin.execute(WAKE_CHECKPOINTER)
            if self.test:
                await admin.execute(ALLOW_TEST_DATABASES)
        for database in (NAME, "template1") if self.test else (NAME,):
            await self._prepare_extension(secrets, database)

    async def _prepare_extension(self, secrets: Secrets, database: str) -> None:
        # Without TimescaleDB's library, which would be that of the version that is there: this server may not have it.
        async with await self._connect(secrets, database, options="-c timescaledb.disable_load=on") as admin:
            present, offered = await (await admin.execute(EXTENSION_VERSIONS)).fetchone() or (None, "")
        if present == offered:
            return
        if present and version_in(str(present)) > version_in(str(offered)):
            raise DatabaseUnavailable(
                f"the database in {self.data} was last used with TimescaleDB {present}, and the one in {self.programs} "
                f"has {offered}; take the programs of before (BEFFROI_PROGRAMS), or install that version"
            )
        # The first statement of its session, so that the library is the new one.
        async with await self._connect(secrets, database) as admin:
            await admin.execute(UPDATE_EXTENSION if present else CREATE_EXTENSION)

    async def _make_cluster(self, secrets: Secrets) -> None:
        """initdb beside the final place, then rename, so that an interrupted one is begun again."""
        fresh, password = self.folder / "data.new", self.folder / "password.new"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(password, secrets.postgres_admin)
        give_to_servers(password)
        options = (
            *("--pgdata", fresh, "--username", ADMIN, "--pwfile", password, "--auth=scram-sha-256"),
            # Sorted by code point, which no update can change; French order is asked for in queries.
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            "--no-instructions",
            *(("--no-sync",) if self.test else ()),
        )
        initdb = Program("initdb", (self._binary("initdb"), *options), is_server=True)
        process = await asyncio.create_subprocess_exec(
            *command(initdb),
            env=ENVIRONMENT,
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        password.unlink()
        if process.returncode:
            raise BeffroiError(
                f"initdb could not make a database in {self.folder}: {said.decode(errors='replace').strip()}"
            )
        fresh.rename(self.data)

    async def _connect(
        self, secrets: Secrets, database: str, options: str = ""
    ) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMIN,
            password=secrets.postgres_admin,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
            options=options,
        )

    def _binary(self, name: str) -> Path:
        return self.programs / name


def configuration(server: Postgres, memory_bytes: int | None = None, disk_bytes: int | None = None) -> str:
    """postgresql.conf for a server that shares its machine, and its disk, with the rest of the hub."""
    disk_mib = (disk_bytes or shutil.disk_usage(server.home).total) // MIB
    wal_mib = max(64, min(6144, disk_mib // 16))
    memory_mib = (memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // MIB
    values = {
        "listen_addresses": "127.0.0.1",
        "port": server.port,
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": 100,
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        "timescaledb.max_background_workers": 0,  # the hub keeps its own house; the Apache edition refuses to
        "max_locks_per_transaction": 256,  # a query locks every chunk that it may read
        "max_worker_processes": 16,
        "shared_buffers": f"{min(memory_mib // 6, 4096)}MB",
        "effective_cache_size": f"{memory_mib // 2}MB",
        "maintenance_work_mem": f"{min(memory_mib // 32, 1024)}MB",
        "work_mem": "32MB",
        "jit": "off",  # its LLVM is not unpacked
        "random_page_cost": 1.1,
        "wal_compression": "lz4",
        "wal_buffers": "64MB",
        "min_wal_size": f"{max(32, wal_mib // 6)}MB",
        "max_wal_size": f"{wal_mib}MB",
        "checkpoint_timeout": "15min",
        "default_toast_compression": "lz4",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_lock_waits": "on",
        "log_min_duration_statement": "5s",
        **(_test_values() if server.test else {}),
        **(_archive_values(server.archive) if server.archive else {}),
    }
    return "".join(f"{name} = {as_value(str(value))}\n" for name, value in values.items())


def _archive_values(folder: Path) -> Mapping[str, object]:
    return {"archive_mode": "on", "archive_command": archive_command(folder), "archive_timeout": TIMEOUT_S}


def _test_values() -> Mapping[str, object]:
    return {
        "shared_buffers": "256MB",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_wal_size": "1GB",
        "min_wal_size": "80MB",
        "max_connections": 200,
    }


async def _count(connection: psycopg.AsyncConnection[tuple[object, ...]], query: str) -> int:
    row = await (await connection.execute(query.encode())).fetchone()
    return int(str(row[0])) if row else 0
