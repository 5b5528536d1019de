"""`threadkeep serve`: the plain server as a command.

It keeps a SQLite file where no other back end is set up. Everything else is set by the environment, as in the README.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Never

from threadkeep.errors import ThreadkeepError
from threadkeep.server.application import Application
from threadkeep.server.logs import write_logs
from threadkeep.server.metrics import PROCESSES_FOLDER
from threadkeep.settings import NAMES, Settings
from threadkeep.storage.backends import Choice
from threadkeep.storage.base import Backend

DEFAULT_PORT = 8787
DEFAULT_FILE = "threadkeep.sqlite"

_PORT_MAX = 65_535
_WORKERS_MAX = 64
_TARGET = "threadkeep.cli.serve:application"
_DEFAULT_STORE = "sqlite"


class Refusal(Exception):
    """Why the server does not start, in one line."""


def run(arguments: argparse.Namespace) -> Never:
    """Serve as the flags say, and exit: with 0 after a signal, with 1 if it cannot start."""
    try:
        serve(arguments.host, arguments.port, arguments.workers, arguments.dev_user)
    except Refusal as refusal:
        print(f"threadkeep: {refusal}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def application() -> Application:
    """What each process serves. The environment is complete: `serve` has seen to that."""
    write_logs()
    return Application(os.environ.get, default_store=_DEFAULT_STORE)


def serve(host: str, port: int, workers: int, dev_user: str | None) -> None:
    """Serve until SIGTERM or Ctrl-C, and then finish what was accepted. Raises Refusal where it cannot start."""
    try:
        from threadkeep.server.serving import Supervisor, listen, serve_alone
    except ImportError as error:
        raise Refusal(f"{error.name} is not installed: pip install 'threadkeep[server]' adds what it needs.") from error
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn has its own while it serves, and gives back ours
        signal.signal(number, lambda *_: sys.exit(0))
    complete_environment(os.environ, dev_user)
    backend, settings = asyncio.run(_try_out())
    if backend.keeps_conversations and not backend.is_persistent and workers > 1:
        raise Refusal(f"{backend.name} is for one process: set --workers to 1, or another AGENT_CONVERSATION_STORE.")
    try:
        listening = listen(host, port)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while ")[0]  # Python adds the address to it
        raise Refusal(f"{host} port {port} is not available ({reason}): name others with --host and --port.") from error
    _say_who_gets_in(backend, settings)
    print(f"ready {_address(listening)} store={backend.name} {backend.shown(settings)}".rstrip(), flush=True)
    with tempfile.TemporaryDirectory(prefix="threadkeep-metrics-") as folder:
        if workers > 1:
            os.environ[PROCESSES_FOLDER] = folder
            write_logs()
            if not Supervisor(_TARGET, listening, workers, logging.getLogger("threadkeep").error).run():
                raise Refusal("a process ended as soon as it was started: the log above says why.")
        else:
            serve_alone(_TARGET, listening)


def complete_environment(environ: "os._Environ[str] | dict[str, str]", dev_user: str | None) -> None:
    """Set what nobody has set, as whoever starts a server means it: that it keeps conversations, and where."""
    defaults = {"persistence": "true", "sqlite_path": DEFAULT_FILE}
    if dev_user is not None:
        environ[NAMES["development_user"][0]] = dev_user
        defaults["environment"] = "development"
    for setting, value in defaults.items():
        if not _is_set(environ, setting):
            environ[NAMES[setting][0]] = value
    path = environ[NAMES["sqlite_path"][0]].strip()
    if path != ":memory:":
        environ[NAMES["sqlite_path"][0]] = str(Path(path).absolute())


def _is_set(environ: Mapping[str, str], setting: str) -> bool:
    return any(environ.get(name, "").strip() for name in NAMES[setting])


async def _try_out() -> tuple[Backend, Settings]:
    """Open the back end once and close it, before anybody waits for an answer."""
    tried = Application(os.environ.get, default_store=_DEFAULT_STORE)
    try:
        await tried.open()
    except ThreadkeepError as error:
        raise Refusal(_with_setting(error.message, tried.api.choice)) from error
    await tried.close()
    return tried.api.backend, tried.api.settings


def _with_setting(message: str, choice: Choice | ThreadkeepError) -> str:
    """The message, with the setting that leads to the back end that was chosen."""
    if isinstance(choice, ThreadkeepError) or choice.backend.setting is None:
        return message
    name = NAMES[choice.backend.setting][0]
    return message if name in message else f"{message} {name} says where it is."


def _say_who_gets_in(backend: Backend, settings: Settings) -> None:
    if settings.development_user is not None:
        _say(f"whoever reaches this server is the user {settings.development_user}.")
    elif backend.keeps_conversations and settings.jwt_secret is None and not settings.service_keys:
        _say(
            "nobody can sign in: set AUTH_JWT_SECRET or AUTH_SERVICE_KEYS; "
            "or, on a machine of your own, let everybody in with --dev-user NAME."
        )


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(message: str) -> None:
    print(f"threadkeep: {message}", file=sys.stderr, flush=True)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its flags."""
    served = commands.add_parser("serve", help="serve the API", description="Serves the API until SIGTERM or Ctrl-C.")
    served.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    served.add_argument("--port", type=_port, default=DEFAULT_PORT, help="the port (default: %(default)s; 0: any)")
    served.add_argument("--workers", type=_workers, default=1, help="how many processes serve (default: 1)")
    served.add_argument("--dev-user", metavar="NAME", help="let everybody in as this user; not in production")
    served.set_defaults(run=run)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= _PORT_MAX:
        raise argparse.ArgumentTypeError(f"from 0 to {_PORT_MAX}")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _WORKERS_MAX:
        raise argparse.ArgumentTypeError(f"from 1 to {_WORKERS_MAX}")
    return int(text)
