"""scripts/pywrangler: Cloudflare's own tool reads this tree and bundles it.

Its sync downloads from more than the package registries. So what it would lay in python_modules/ is here what our own
installation has laid there, and uv is offline.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.scripts import copy_checkout
from tools.checkout import ROOT
from tools.local.install import FOR_THE_WORKER, install_pywrangler


class Checkout:
    """Our checkout again, in which pywrangler may write, and nobody is logged in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.folder.mkdir()
        copy_checkout(self.folder)
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        (self.folder / "python_modules").unlink()
        shutil.copytree(ROOT / "python_modules", self.folder / "python_modules")
        self.programs = install_pywrangler()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDFLARE", "UV_"))}
        self.environment = {
            **own,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "COLUMNS": "300",  # or lines are broken
            "PYWRANGLER_LOG": "debug",
            "UV_OFFLINE": "1",
            "WRANGLER_SEND_METRICS": "false",
        }

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a program in this folder; its answer has all that it has said in `stdout`."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    def pywrangler(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs pywrangler as scripts/pywrangler does, but in this folder."""
        return self.run("env", f"PATH={self.programs}{os.pathsep}{os.environ['PATH']}", "pywrangler", *arguments)

    def pretend_synced(self) -> None:
        """Marks the packages as pywrangler does when it has synced them."""
        version = self.pywrangler("--version").stdout.split()[-1]
        for name in ("python_modules", ".venv-workers"):
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name / ".synced").write_text(version)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_script_runs_the_wrangler_of_the_checkout(checkout: Checkout) -> None:
    answer = checkout.run(ROOT / "scripts/pywrangler", "telemetry", "status")
    assert answer.returncode == 0, answer.stdout
    assert f"wrangler {json.loads((ROOT / 'package.json').read_text())['dependencies']['wrangler']}" in answer.stdout


def test_a_sync_is_for_the_python_that_our_own_wheels_are_for(checkout: Checkout) -> None:
    answer = checkout.pywrangler("sync", "--force")
    (version,) = [flag.partition("=")[2] for flag in FOR_THE_WORKER if flag.startswith("--python-version=")]
    assert f"Using python version from wrangler config: {version[0]}.{version[1:]}" in answer.stdout


def test_what_is_synced_is_bundled_with_all_of_our_sources(checkout: Checkout) -> None:
    checkout.pretend_synced()
    bundle = checkout.folder / "bundle"
    answer = checkout.pywrangler("deploy", "--dry-run", "--outdir", bundle)
    assert answer.returncode == 0, answer.stdout
    assert "env.AGENT_CONVERSATIONS_DO (UserConversations)" in answer.stdout
    ours = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.py")}
    assert ours - {path.relative_to(bundle) for path in bundle.rglob("*.py")} == set()
    assert (bundle / "python_modules/msgspec/__init__.py").is_file()
