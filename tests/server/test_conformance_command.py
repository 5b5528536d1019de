"""`threadkeep conformance` as people run it: over a server, over a store of their own, and where it cannot begin."""

import os
import subprocess
from pathlib import Path

from support.in_process import SERVICE_KEY, VARIABLES
from support.serving import PATIENCE_SECONDS
from tools.checkout import ROOT
from tools.local.install import python
from tools.local.server import LocalServer

OWN_STORE = """
from threadkeep.client import open_state
from threadkeep.storage.memory.agents import MemoryStateStore

def whole(user):
    return open_state(":memory:", user=user)

def forgetful(user):
    async def get_blob(self, space, key):
        blob, content = await found(self, space, key)
        return blob, content[:-1]

    found, MemoryStateStore.get_blob = MemoryStateStore.get_blob, get_blob
    return open_state(":memory:", user=user)
"""


def checked(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the command says and ends with, in a folder with nothing in its environment but these variables."""
    return subprocess.run(
        [python(), "-c", "from threadkeep.cli import main; main()", "conformance", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS * 4,
    )


def test_a_server_of_ours_passes_over_http(tmp_path: Path) -> None:
    keys = {"AUTH_SERVICE_KEYS": VARIABLES["AUTH_SERVICE_KEYS"]}
    with LocalServer(tmp_path, store="sqlite", variables=keys) as running:
        done = checked(tmp_path, f"--url={running.url}", "--only=repeats", "--only=blobs", THREADKEEP_KEY=SERVICE_KEY)
    assert done.returncode == 0, done.stdout
    repeats, blobs = done.stdout.splitlines()[-2:]
    assert repeats.startswith("repeats ")
    assert blobs.startswith("blobs ")
    assert repeats.endswith("passed, so it is complete")
    assert blobs.endswith("passed, so it is complete")


def test_a_store_of_ones_own_is_tested_and_what_it_lacks_is_counted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_STORE)
    done = checked(tmp_path, "--store=own:whole")
    assert done.returncode == 0, done.stdout
    kinds = [line.split()[0] for line in done.stdout.splitlines() if line.endswith("so it is complete")]
    assert kinds == ["journals", "tasks", "blobs", "threads", "repeats", "races"]
    done = checked(tmp_path, "--store=own:forgetful", "--only=blobs")
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    (last,) = done.stdout.splitlines()[-1:]
    passed, total = (int(word) for word in last.split() if word.isdecimal())
    assert last.startswith("blobs ")
    assert 0 < passed < total


def test_it_says_in_one_line_why_it_cannot_begin(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    for arguments, message in (
        ((f"--url={url}",), "--key: Give a service key"),
        (("--url=threadkeep.example", "--key=tk_1"), "--url: It begins with http:// or https://."),
        ((f"--url={url}", "--key=tk_1", "--only=dreams"), "--only: dreams is not one of journals, tasks"),
        (("--store=nowhere:opened",), "--store: nowhere:opened cannot be imported"),
        (("--store=json:opened",), "--store: json:opened cannot be imported"),
        (("--store=json",), "--store: json cannot be imported"),
    ):
        done = checked(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"threadkeep: {message}")
        assert len(done.stderr.splitlines()) == 1


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    program = "import sys; sys.modules['pytest'] = None; from threadkeep.cli import main; main()"
    done = subprocess.run(
        [python(), "-c", program, "conformance", "--store=json:opened"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "threadkeep[conformance]" in done.stderr
