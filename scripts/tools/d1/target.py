"""Finds the D1 database that a script is for, by its flags."""

import argparse
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.checkout import ROOT, local_folder

if TYPE_CHECKING:
    from tools.d1.migrate import Target


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --local, --remote, --env and --state."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="use the database of scripts/dev --store d1 (the default)")
    where.add_argument("--remote", action="store_true", help="use the database at Cloudflare")
    parser.add_argument(
        "--env",
        metavar="ENV",
        default=os.environ.get("CLOUDFLARE_ENV"),
        help="use the database of [env.ENV] in wrangler.toml (default: CLOUDFLARE_ENV, or the top level)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=local_folder(ROOT) / "state",
        metavar="DIR",
        help="the folder that scripts/dev keeps its data in (default: .local/state)",
    )


def reach(arguments: argparse.Namespace) -> "AbstractContextManager[Target]":
    """The database that was asked for. To be called in the checkout's environment."""
    from tools.cloudflare import deploy  # noqa: PLC0415 only there is what they need
    from tools.d1 import migrate  # noqa: PLC0415 only there is what they need

    if arguments.remote:
        return deploy.reach_database(ROOT, arguments.env, os.environ)
    return migrate.local_target(deploy.local_database(ROOT, arguments.env), arguments.state)


def reach_other(arguments: argparse.Namespace, database_id: str) -> "AbstractContextManager[Target]":
    """The database of an id, which wrangler.toml does not need to know. To be called in the checkout's environment."""
    from tools.cloudflare import deploy  # noqa: PLC0415 only there is what they need
    from tools.d1 import migrate  # noqa: PLC0415 only there is what they need

    database = {"binding": "OTHER", "database_name": database_id, "database_id": database_id}
    if arguments.remote:
        deploy.require_token(os.environ)
        return migrate.remote_target(database, ROOT, None)
    return migrate.local_target(database, arguments.state)
