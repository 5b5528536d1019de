"""wrangler as the project pins it: how it is called, and kept from asking, reporting and looking for a newer one."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolbox.checkout import Problem
from toolbox.codes import Code
from toolbox.install import Node, node_packages
from toolbox.processes import Group


def command(node: Node, *node_options: str) -> list[str | Path]:
    """The beginning of every call of wrangler."""
    # Its own bin/wrangler.js only checks Node's version, and starts this in one more process.
    program = node_packages() / "wrangler" / "wrangler-dist" / "cli.js"
    if not program.is_file():
        again = f"remove {node_packages()}, and run this again"
        raise Problem(f"wrangler is not installed: {again}", Code.WRANGLER_MISSING)
    return [node.program, "--no-warnings", *node_options, program]


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
        "CLOUDFLARE_DEV_REGISTRY_PATH": str(folder / "registry"),  # no Worker meets another
        "WRANGLER_REGISTRY_PATH": str(folder / "registry"),
    }


class Failed(Problem):
    """wrangler has failed. `output` is all that it printed, and `reason` what that says, in one line."""

    def __init__(self, failed: str, reason: str, output: str) -> None:
        super().__init__(f"{failed}: {reason}")
        self.reason = reason
        self.output = output


def call(node: Node, arguments: Sequence[str | Path], *, folder: Path, failed: str) -> str:
    """Runs wrangler in `folder` to its end; returns what it printed, and leaves that in wrangler.log."""
    log = folder / "wrangler.log"
    log.write_bytes(b"")
    group = Group([*command(node), *arguments], cwd=folder, env=environment(node, folder), log=log)
    try:
        code = group.wait()
    finally:
        group.stop()
    output = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    if code != 0:
        raise Failed(failed, _reason(output) or f"wrangler ended with {code}; {log} may say why", output)
    return output


def _reason(output: str) -> str:
    """The error in wrangler's output: its heading and its details, or the one field of its JSON."""
    match = re.search(r"\[ERROR\] (.*?)(?=\n\S|\Z)", output, re.DOTALL) or re.search(r'"text": "(.*)"', output)
    return " ".join(match[1].split())[:500] if match else ""


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
