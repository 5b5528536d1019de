"""Scripts in a checkout of their own, and in this process: without the time that a process takes to start."""

import contextlib
import io
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from tools.checkout import ROOT

INTERRUPTED = 130


def copy_checkout(folder: Path) -> Path:
    """Makes our checkout again, with all that is installed: what a test changes there, or builds, is its own."""
    for name in ("scripts", "src", "migrations"):
        shutil.copytree(ROOT / name, folder / name)
    for name in (".venv", "python_modules", "node_modules", "requirements", "package.json", "package-lock.json"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "wrangler.toml", folder)
    compiled = ROOT / ".local/compiled"  # a third of the time of each call of wrangler
    compiled.mkdir(parents=True, exist_ok=True)
    (folder / ".local").mkdir()
    (folder / ".local/compiled").symlink_to(compiled)
    return folder


def run_here(script: Path, *arguments: str | Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a script of a checkout as it runs once it has gone on in its environment, with a tools of its own.

    It is not the program: that it starts, takes signals and ends what it has started is for a test with a process.
    """
    output, progress = io.StringIO(), io.StringIO()
    with (
        _tools_of(script.parent),
        mock.patch.dict(os.environ, {**environment, "THREADKEEP_IN_ENVIRONMENT": "1"}, clear=True),
        mock.patch.object(sys, "prefix", str(script.parents[1] / ".venv")),
        mock.patch.object(sys, "argv", [str(script), *map(str, arguments)]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(progress),
    ):
        try:
            main = runpy.run_path(str(script))["main"]
            code: Any = sys.modules["tools.script"].exit_code(main, when_interrupted=INTERRUPTED)
        except SystemExit as end:  # argparse's
            code = end.code
    return subprocess.CompletedProcess([script, *arguments], code, output.getvalue(), progress.getvalue())


@contextlib.contextmanager
def _tools_of(scripts: Path) -> Iterator[None]:
    """Has `import tools` mean what lies beside a script, whose idea of where the checkout is differs from ours."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "tools"}
    try:
        with mock.patch.object(sys, "path", [str(scripts), *sys.path]):
            yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tools"]:
            del sys.modules[name]
        sys.modules.update(ours)
