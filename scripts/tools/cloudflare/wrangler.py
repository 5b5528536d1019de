"""Runs wrangler as the project pins it, and keeps it from asking, reporting and looking for a newer one."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.checkout import ROOT, Problem, local_folder, remove
from tools.exit_codes import Code
from tools.local.install import Node, node_packages, version
from tools.local.processes import Group

# wrangler makes much as it starts, and keeps it: with too little room, V8 copies that again and again.
_YOUNG_MEGABYTES = 64
_ROOM = (f"--min-semi-space-size={_YOUNG_MEGABYTES}", f"--max-semi-space-size={_YOUNG_MEGABYTES}")


def command(node: Node, *node_options: str) -> list[str | Path]:
    """The beginning of every call of wrangler. Raises a Problem when it is not there, or older than package.json says.

    Installing sees to both. This is for what somebody did to `node_modules` afterwards.
    """
    package = node_packages() / "wrangler"
    program = package / "wrangler-dist" / "cli.js"  # its own bin/wrangler.js starts this in one more process
    again = f"remove {node_packages()}, and run this again"
    try:
        found = json.loads((package / "package.json").read_text())["version"]
    except FileNotFoundError:
        found = None
    if found is None or not program.is_file():
        raise Problem(f"wrangler is not installed: {again}", Code.WRANGLER_MISSING)
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]["wrangler"]
    if version(found) < version(wanted):
        raise Problem(f"wrangler {found} is too old, and {wanted} is needed: {again}", Code.WRANGLER_TOO_OLD)
    return [node.program, "--no-warnings", *_ROOM, *node_options, program]


def environment(node: Node, folder: Path) -> dict[str, str]:
    """The environment of every call: this process's own, and what keeps wrangler to itself, with files in `folder`."""
    return {
        **node.environment(),
        "CI": "true",  # nobody is there to be asked
        "FORCE_COLOR": "0",
        "WRANGLER_HIDE_BANNER": "true",  # and with it the search for a newer wrangler
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_SEND_ERROR_REPORTS": "false",
        "WRANGLER_WRITE_LOGS": "false",
        "CLOUDFLARE_CF_FETCH_ENABLED": "false",  # the example of request.cf, fetched from afar
        "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV": "false",
        # What collects traces of every request beside the Worker takes longer than the request.
        "X_LOCAL_OBSERVABILITY": "false",
        "X_LOCAL_EXPLORER": "false",
        "CLOUDFLARE_DEV_REGISTRY_PATH": str(folder / "registry"),  # no Worker meets another
        "WRANGLER_REGISTRY_PATH": str(folder / "registry"),
        "NODE_COMPILE_CACHE": str(local_folder(ROOT) / "compiled"),  # a third of the time of each call
        "WRANGLER_CACHE_DIR": str(folder / "cache"),  # else node_modules, where it remembers another token's account
    }


class Failed(Problem):
    """wrangler has failed. `output` is all that it printed, and `reason` what that says, in one line."""

    def __init__(self, failed: str, reason: str, output: str) -> None:
        super().__init__(f"{failed}: {reason}")
        self.reason = reason
        self.output = output


def call(
    node: Node, arguments: Sequence[str | Path], *, folder: Path, failed: str, patience_seconds: float | None = None
) -> str:
    """Runs wrangler in `folder` to its end; returns what it printed, and leaves that in wrangler.log.

    `patience_seconds` is how long whoever wrangler asks may take; without it, as long as wrangler waits.
    """
    log = folder / "wrangler.log"
    log.write_bytes(b"")
    remove(folder / "cache")
    group = Group([*command(node), *arguments], cwd=folder, env=environment(node, folder), log=log)
    try:
        code = group.wait(patience_seconds)
    finally:
        group.stop()
    if code is None:
        raise Problem(
            f"{failed}: Cloudflare has not answered in {patience_seconds:g} seconds, and may still do what it was "
            "asked to: try again later",
            Code.NO_ANSWER,
        )
    output = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    if code != 0:
        raise Failed(failed, _reason(output) or f"wrangler ended with {code}; {log} may say why", output)
    return output


def _reason(output: str) -> str:
    """The error in wrangler's output: its heading and its details, or the one field of its JSON."""
    match = re.search(r"\[ERROR\] (.*?)(?=\n\S|\Z)", output, re.DOTALL) or re.search(r'"text": "(.*)"', output)
    text = " ".join(match[1].split()) if match else ""
    text = re.sub(r"^A request to the Cloudflare API \([^)]*\) failed\. ", "", text)
    return text.partition(" If you think this is a bug")[0][:500]


def warnings_in(output: str) -> list[str]:
    """What wrangler warned of, each in one line."""
    found = re.findall(r"\[WARNING\] (.*?)(?=\n\S|\Z)", output, re.DOTALL)
    return [" ".join(warning.split()) for warning in found]


def json_in(output: str) -> Any:
    """The JSON list that wrangler printed with --json, whatever it warned of around it."""
    start = re.search(r"^\[$|^\[\{|^\[\]", output, re.MULTILINE)
    if start is None:
        raise Problem(f"wrangler printed no JSON: {output[:200]!r}")
    return json.JSONDecoder().raw_decode(output, start.start())[0]
