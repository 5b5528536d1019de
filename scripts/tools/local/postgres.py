"""Runs a Postgres of this machine's own: the programs that PyPI has, on a folder, listening on loopback alone.

Postgres does not run as root. There it runs as `nobody`, who then owns the folder, and must be able to get to it.
"""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from tools.checkout import Problem
from tools.local.install import install_postgres
from tools.local.ports import free_port
from tools.local.processes import last_lines

SUPERUSER = "postgres"
START_SECONDS = 30

# It ends with this process, in whatever way that ends: its standard input is closed then.
_UNTIL_INPUT_ENDS = '"$@" & cat > /dev/null; kill -INT $!; wait $!'


class LocalPostgres:
    """A server on a folder, which it fills if there is nothing in it. Everybody on this machine is let in."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, rules: str = "") -> None:
        """`settings` are those of postgresql.conf, and `rules` lines of pg_hba.conf that come before all others."""
        self.folder = folder
        self.port = 0
        self._data = folder / "data"
        self._settings = {"unix_socket_directories": "", **(settings or {})}
        self._rules = rules
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "LocalPostgres":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def process_id(self) -> int:
        """The id of the server's first process."""
        return int(self._status()[0])

    def url(self, database: str = "postgres", *, user: str = SUPERUSER, password: str = "", **parameters: Any) -> str:
        """The URL of a database."""
        secret = f":{quote(password, safe='')}" if password else ""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{quote(user, safe='')}{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}{query}"

    def start(self) -> None:
        """Start the server, and wait until it can be used. It keeps its port when it is started again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        programs = install_postgres()
        if not (self._data / "PG_VERSION").exists():
            self._create(programs)
        self.port = self.port or free_port()
        settings = {**self._settings, "port": str(self.port), "listen_addresses": "127.0.0.1"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [
            "sh",
            "-c",
            _UNTIL_INPUT_ENDS,
            "postgres",
            programs / "postgres",
            "-D",
            self._data,
            *options,
        ]
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                user=self._user,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._status()[7:] != ["ready"]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Problem(f"Postgres does not start:\n{last_lines(self.folder / 'log', 20)}")
            time.sleep(0.02)

    def stop(self, *, at_once: bool = False) -> None:
        """End the server, and every connection with it; at once, as a crash would, where that is asked for."""
        if self._process is None or self._process.stdin is None:
            return
        if at_once:
            with suppress(ProcessLookupError):
                os.kill(self.process_id, signal.SIGQUIT)
        self._process.stdin.close()
        self._process.wait(timeout=START_SECONDS)
        self._process = None

    def _create(self, programs: Path) -> None:
        command: list[str | Path] = [
            programs / "initdb",
            "-D",
            self._data,
            "-U",
            SUPERUSER,
            "--auth=trust",
            "--encoding=UTF8",
        ]
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        try:
            done = subprocess.run(command, cwd="/", user=self._user, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Problem(f"Postgres cannot be run by {self._user or 'this user'}: {error.strerror}") from None
        if done.returncode != 0:
            raise Problem(f"could not create a database in {self._data}:\n{done.stderr}")
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"{self._rules}\n{rules.read_text()}")

    def _status(self) -> list[str]:
        """What the server says of itself: its process first, and whether it is ready last."""
        try:
            return [line.strip() for line in (self._data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []
