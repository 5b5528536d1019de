"""`threadkeep serve` as people start it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.local.install import install_server

PATIENCE_SECONDS = 60


@contextmanager
def serving(
    folder: Path, *arguments: str, variables: dict[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """`threadkeep serve` in a folder, with nothing in its environment but these variables."""
    command = [install_server(), "serve", "--port=0", *arguments]
    environment = {"PATH": os.environ["PATH"], **(variables or {})}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def ready_line(process: subprocess.Popen[str]) -> dict[str, str]:
    """What the command says when it is ready: the address, the back end, and where that is."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready "), (line, process.stderr and process.stderr.read())
    _, address, *fields = line.split()
    return {"address": address, **dict(each.split("=", 1) for each in fields)}


def refusal(folder: Path, *arguments: str, **options: Any) -> str:
    """The one line that it refuses to start with."""
    with serving(folder, *arguments, **options) as process:
        output, message = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output) == (1, "")
    assert len(message.splitlines()) == 1, message
    assert message.startswith("threadkeep: ")
    return message
