"""The account at Cloudflare, as the project's wrangler reaches it, and what goes wrong there in a line each."""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbox import wrangler
from toolbox.checkout import ROOT, Problem
from toolbox.codes import Code
from toolbox.install import Node, node_packages

PATIENCE_SECONDS = 60

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
        for database in wrangler.json_in(self._wrangler("d1", "list", "--json")):
            if database["name"] == name:
                return Database(name, database["uuid"])
        return None

    def create_database(self, name: str, *, location: str | None, jurisdiction: str | None) -> Database:
        """Creates a database. Where it lies cannot be changed later."""
        options = [f"--location={location}"] if location else []
        options += [f"--jurisdiction={jurisdiction}"] if jurisdiction else []
        said = self._wrangler("d1", "create", name, *options)
        created = re.search(r'"database_id": "([0-9a-f-]{36})"', said)  # it cannot answer in JSON
        if not created:
            raise Problem(f"wrangler has not said the id of the new database {name}: run this again to look it up")
        return Database(name, created[1])

    def _wrangler(self, *arguments: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder) / "wrangler.json"
            configuration.write_text(json.dumps({"name": "setup", **self._configuration}))
            return run_wrangler(self._node, [*arguments, f"--config={configuration}"], Path(folder))


def run_wrangler(node: Node, arguments: Sequence[str | Path], folder: Path) -> str:
    """What wrangler prints, run in `folder`. When it fails, the problem is what Cloudflare has against it."""
    check_wrangler()
    try:
        done = subprocess.run(
            [*wrangler.command(node), *arguments],
            cwd=folder,
            env=wrangler.environment(node, folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"Cloudflare has not answered in {PATIENCE_SECONDS} seconds: try again later"
        raise Problem(message, Code.NO_ANSWER) from None
    if done.returncode != 0:
        raise problem_in(done.stdout + done.stderr)
    return done.stdout


def check_wrangler(root: Path = ROOT) -> None:
    """Raises a Problem when wrangler is not there, or is older than package.json says."""
    wanted = json.loads((root / "package.json").read_text())["dependencies"]["wrangler"]
    again = f"remove {node_packages(root)}, and run this again"
    try:
        found = json.loads((node_packages(root) / "wrangler" / "package.json").read_text())["version"]
    except FileNotFoundError:
        raise Problem(f"wrangler is not installed: {again}", Code.WRANGLER_MISSING) from None
    if _numbers(found) < _numbers(wanted):
        raise Problem(f"wrangler {found} is too old, and {wanted} is needed: {again}", Code.WRANGLER_TOO_OLD)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def problem_in(output: str) -> Problem:
    """What the output of a wrangler that has failed says, in a line."""
    for sign, code, message in _SIGNS:
        if sign in output:
            return Problem(message, code)
    answer = re.search(r"^\s*(.+) \[code: (\d+)\]", output, re.MULTILINE)
    if not answer:
        return Problem(f"wrangler has failed: {_error(output)}")
    if answer[2] == "7400":
        return Problem(f"Cloudflare refuses this: {answer[1]} (error 7400)", Code.REQUEST_REFUSED)
    return Problem(f"Cloudflare has failed: {answer[1]} (error {answer[2]}): try again later", Code.CLOUDFLARE_FAILED)


def _error(output: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    error = re.search(r"\[ERROR\] (.+)", plain)
    return error[1].strip() if error else " ".join(plain.split())[-300:] or "it says nothing"
