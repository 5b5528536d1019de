"""`threadkeep conformance`: runs our suite for the state of agents against any store, and prints what it can do."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from typing import Any, Never

OpenState = Callable[[str], AbstractAsyncContextManager[Any]]
"""Opens the state of a user's agents, a `StateStore`."""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its flags."""
    parser = commands.add_parser(
        "conformance",
        help="test a store of the state of agents",
        description="Tests a store of the state of agents, and reports by kind. Each test is a user of its own.",
    )
    store = parser.add_mutually_exclusive_group(required=True)
    store.add_argument("--url", help="a server that speaks Threadkeep's HTTP API")
    store.add_argument(
        "--store",
        metavar="MODULE:FUNCTION",
        help="a function that takes a user's id and returns an async context manager of a StateStore",
    )
    parser.add_argument("--key", help="a service key of the server (default: THREADKEEP_KEY)")
    parser.add_argument("--only", action="append", metavar="KIND", help="journals, tasks, blobs or threads; repeatable")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Never:
    """Test as the flags say, and exit: with 0 if all passed, with 1 if not, with 2 if it could not be tried."""
    try:
        from threadkeep.conformance.report import KINDS, check
    except ImportError as error:
        _refuse(f"{error.name} is not installed: pip install 'threadkeep[conformance]' adds what it needs.")
    unknown = [kind for kind in arguments.only or () if kind not in KINDS]
    if unknown:
        _refuse(f"--only: {unknown[0]} is not one of {', '.join(KINDS)}.")
    sys.exit(check(_opener(arguments), arguments.only or KINDS))


def _opener(arguments: argparse.Namespace) -> OpenState:
    if arguments.url is not None:
        from threadkeep.client import open_state

        key = arguments.key or os.environ.get("THREADKEEP_KEY")
        if not arguments.url.startswith(("http://", "https://")):
            _refuse("--url: It begins with http:// or https://.")
        if not key:
            _refuse("--key: Give a service key, since each test is a user of its own; or set THREADKEEP_KEY.")
        return partial(_open_url, open_state, arguments.url, key)
    module, _, function = arguments.store.partition(":")
    sys.path.insert(0, os.getcwd())  # as `python -m` does: the store is yours, and need not be installed
    try:
        found: OpenState = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        _refuse(f"--store: {arguments.store} cannot be imported: {error}.")
    return found


def _open_url(open_state: Callable[..., Any], url: str, key: str, user: str) -> AbstractAsyncContextManager[Any]:
    opened: AbstractAsyncContextManager[Any] = open_state(url, key=key, user=user)
    return opened


def _refuse(message: str) -> Never:
    print(f"threadkeep: {message}", file=sys.stderr)
    sys.exit(2)
