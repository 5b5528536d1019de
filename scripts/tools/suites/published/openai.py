"""The tests of OpenAI's Agents SDK about sessions, as they stand in its source package, over our session."""

import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.checkout import ROOT, Problem, local_folder, remove
from tools.local.install import Node, install_suites
from tools.local.processes import run
from tools.suites.suite import STORES, Outcome, Suite, Target, pinned

_PACKAGE = "openai-agents"
_SUITE = ROOT / "tests" / "suites" / "openai"


class OpenAI(Suite):
    """Some files of the tests in the source package of `openai-agents`."""

    stores = STORES
    minutes = 20

    def __init__(self, name: str, what: str, files: Sequence[str]) -> None:
        self.name = name  # type: ignore[misc]  # there are several
        self._what = what
        self._files = files

    @property
    def title(self) -> str:
        return f"{self._what} of OpenAI's Agents SDK, {_PACKAGE} {pinned(_PACKAGE)}"

    def install(self, node: Node) -> None:
        install_suites()
        folder = _folder()
        if not folder.exists():
            _unpack(_downloaded(), folder)

    def run(self, target: Target) -> Outcome:
        command: list[str | Path] = [install_suites(), _SUITE / "run_tests.py", *self._files]
        found: dict[str, Any] = self.result(target, command, cwd=_folder())
        return Outcome(found["passed"], found["failures"], found["left_out"])


SUITES = (
    OpenAI(
        "openai-sessions",
        "Sessions",
        [f"tests/memory/test_session{name}.py" for name in ("", "_limit", "_persistence_sanitize")],
    ),
    OpenAI("openai-compaction", "Compaction", ["tests/memory/test_openai_responses_compaction_session.py"]),
    OpenAI("openai-encryption", "Encryption", ["tests/extensions/memory/test_encrypt_session.py"]),
)


def _folder() -> Path:
    """Where the source package is unpacked."""
    return local_folder(ROOT) / "suites" / f"openai_agents-{pinned(_PACKAGE)}"


def _downloaded() -> Path:
    """The source package from PyPI, whose hash is pinned as well."""
    folder = local_folder(ROOT) / "suites" / "sdist"
    remove(folder)
    folder.mkdir(parents=True)
    pins = (ROOT / "requirements" / "suites.txt").read_text()
    (pin,) = re.findall(rf"^{_PACKAGE}==.*(?:\n    --hash.*)+", pins, re.MULTILINE)
    (folder / "requirements.txt").write_text(f"{pin}\n")
    command: list[str | Path] = [install_suites(), "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += [f"--no-binary={_PACKAGE}", "--require-hashes", "--disable-pip-version-check", f"--dest={folder}"]
    command += [f"--requirement={folder / 'requirements.txt'}"]
    run(command, cwd=folder, log=folder / "download.log", failed=f"could not download the source of {_PACKAGE}")
    found = list(folder.glob("*.tar.gz"))
    if not found:
        raise Problem(f"PyPI has no source package of {_PACKAGE} {pinned(_PACKAGE)}")
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack it, whole or not at all."""
    fresh = archive.parent / "unpacked"
    with tarfile.open(archive) as opened:
        opened.extractall(fresh, filter="data")
    (fresh / folder.name).rename(folder)
