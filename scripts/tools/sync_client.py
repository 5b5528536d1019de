"""Writes the client that blocks, of the one that does not: word by word, and formatted by ruff."""

import re
import subprocess
from pathlib import Path

from tools.checkout import ROOT
from tools.local.install import python

CLIENT = ROOT / "src/threadkeep/client"
TARGET = CLIENT / "sync"

_HEADER = "# Made by `scripts/lock` of client/{source}; a test fails when it is stale.\n\n"
_ONLY_ASYNC = "# async only"
_WORDS = [
    (r"threadkeep\.client\.(?:api\.(\w+)|(transport|waiting|client)\b)", r"threadkeep.client.sync.\1\2"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"`async with`", "`with`"),
    (r"\b(yield from |)await ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\bhttpx\.Async", "httpx."),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\ba(close|read|iter_lines|iter_bytes)\b", r"\1"),
]


def sources() -> dict[str, Path]:
    """What is written, and of which module each: the calls, the client, and its transport."""
    paths = [CLIENT / "client.py", CLIENT / "transport.py", *sorted((CLIENT / "api").glob("[a-z]*.py"))]
    return {path.name: path for path in paths}


def translated(path: Path) -> str:
    """A module of the client that blocks."""
    lines = [line for line in path.read_text().splitlines(keepends=True) if _ONLY_ASYNC not in line]
    text = "".join(lines)
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    text = _HEADER.format(source=path.relative_to(CLIENT).as_posix()) + text
    return _ruff("format", _ruff("check", text, "--fix", "--quiet", "--select=I,F401"))


def _ruff(command: str, text: str, *options: str) -> str:
    arguments = [str(python()), "-m", "ruff", command, *options, f"--stdin-filename={TARGET / 'module.py'}", "-"]
    done = subprocess.run(arguments, input=text, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
