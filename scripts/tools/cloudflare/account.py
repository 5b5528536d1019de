"""Reaches the account at Cloudflare through the project's wrangler, and explains what goes wrong in a line."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.checkout import Problem
from tools.cloudflare import wrangler
from tools.exit_codes import Code
from tools.local.install import Node

# How long Cloudflare may take: for a question, for what it has to work on, such as a migration or an upload, and for
# rows, which may be many. wrangler itself gives up a single request after five minutes.
ANSWER_SECONDS = 60
WORK_SECONDS = 600
ROWS_SECONDS = 3600

# What wrangler asks for; it has no words for a value that is not among them.
LOCATIONS = ("weur", "eeur", "apac", "oc", "wnam", "enam")
JURISDICTIONS = ("eu", "fedramp", "us")

# The first that wrangler's output holds says what is wrong.
_SIGNS = [
    (
        "set a CLOUDFLARE_API_TOKEN",
        Code.NO_TOKEN,
        "there is no token for Cloudflare: set CLOUDFLARE_API_TOKEN to one with the permission D1:Edit",
    ),
    (
        "[code: 10000]",
        Code.TOKEN_REFUSED,
        "the token may not do this: give it the permission it lacks, D1:Edit for databases (Cloudflare's error 10000)",
    ),
    (
        "[code: 9109]",
        Code.TOKEN_REFUSED,
        "Cloudflare does not know this token: set CLOUDFLARE_API_TOKEN to one that is valid (error 9109)",
    ),
    (
        "retrieve account IDs",
        Code.NO_ACCOUNT,
        "the token does not show which account is meant: set CLOUDFLARE_ACCOUNT_ID",
    ),
    ("More than one account", Code.NO_ACCOUNT, "the token is for several accounts: set CLOUDFLARE_ACCOUNT_ID to one"),
    (
        "fetch failed",
        Code.NO_NETWORK,
        "Cloudflare cannot be reached: check the network, and the proxy and firewall if there is one",
    ),
    (
        "malformed response",
        Code.NOT_CLOUDFLARE,
        "what answers is not Cloudflare's API: something in the network, such as a sign-in page, may be in the way",
    ),
    (
        "downloading from the presigned URL",
        Code.CLOUDFLARE_FAILED,
        "Cloudflare has failed to hand over what it has exported: try again later",
    ),
    ("File could not be uploaded", Code.CLOUDFLARE_FAILED, "Cloudflare has failed to take a file: try again later"),
    (
        "with that name already exists",
        Code.REQUEST_REFUSED,
        "Cloudflare says that the name is taken (error 7502): try again, or choose another with --name",
    ),
    (
        "maximum number of D1 databases",
        Code.REQUEST_REFUSED,
        "the account has as many D1 databases as it may have (error 7406): delete one, or raise the limit",
    ),
]

# What is wrong with the request, and would be wrong again: a value, a database that is not there, a Worker.
_REFUSALS = ("7400", "7404", "10021")


@dataclass(frozen=True)
class Database:
    """A D1 database of the account."""

    name: str
    id: str


class Account:
    """The account that the token and `configuration`, the project's wrangler.toml, are for.

    wrangler is given a configuration of its own, in a folder of its own: it never sees the project's, and cannot
    change it.
    """

    def __init__(self, node: Node, configuration: Mapping[str, Any]) -> None:
        self._node = node
        self._configuration = {key: configuration[key] for key in ("account_id",) if key in configuration}

    def find_database(self, name: str) -> Database | None:
        """The database of that name, if there is one."""
        for database in wrangler.json_in(self._wrangler("d1", "list", "--json", failed="cannot list the databases")):
            if database["name"] == name:
                return Database(name, database["uuid"])
        return None

    def create_database(self, name: str, *, location: str | None, jurisdiction: str | None) -> Database:
        """Creates a database. Where it lies cannot be changed later."""
        options = [f"--location={location}"] if location else []
        options += [f"--jurisdiction={jurisdiction}"] if jurisdiction else []
        said = self._wrangler("d1", "create", name, *options, failed=f"cannot create {name}")
        created = re.search(r'"database_id": "([0-9a-f-]{36})"', said)  # it cannot answer in JSON
        if not created:
            raise Problem(f"wrangler has not said the id of the new database {name}: run this again to look it up")
        return Database(name, created[1])

    def _wrangler(self, *arguments: str, failed: str) -> str:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "wrangler.json").write_text(json.dumps({"name": "setup", **self._configuration}))
            command = [*arguments, f"--config={folder / 'wrangler.json'}"]
            return call(self._node, command, folder=folder, failed=failed, patience_seconds=ANSWER_SECONDS)


def call(node: Node, arguments: Sequence[str | Path], *, folder: Path, failed: str, patience_seconds: float) -> str:
    """Runs wrangler on the account. Where that fails for the token, the network or the like, the problem has its code.

    What SQLite has against a statement stays a `wrangler.Failed`, and so does what nobody has words for.
    """
    try:
        return wrangler.call(node, arguments, folder=folder, failed=failed, patience_seconds=patience_seconds)
    except wrangler.Failed as error:
        raise _problem_in(error.output) or error from None


def _problem_in(output: str) -> Problem | None:
    """What Cloudflare, or the way to it, has against a call that has failed."""
    for sign, code, message in _SIGNS:
        if sign in output:
            return Problem(message, code)
    answer = re.search(r"^\s*(.+) \[code: (\d+)\]", output, re.MULTILINE)
    if not answer or answer[2] == "7500":
        return None
    message = f"{answer[1]} (error {answer[2]})"
    if answer[2] in _REFUSALS:
        return Problem(f"Cloudflare refuses this: {message}", Code.REQUEST_REFUSED)
    return Problem(f"Cloudflare has failed: {message}: mend what it names, or try again later", Code.CLOUDFLARE_FAILED)
