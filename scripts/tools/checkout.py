"""Finds, hashes, locks and replaces files of the checkout that the scripts work in, and tells people about problems."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Problem(Exception):
    """Something that a person has to put right. Its text is one line that says what, and how.

    `code` is what the script exits with; scripts/README.md lists those that differ from 1.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def say(message: str) -> None:
    """Tells the person who waits what is going on; standard output stays free for results."""
    print(message, file=sys.stderr, flush=True)


def files_below(folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Every file below the folders with its name inside its folder, sorted, without Python's caches."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
                yield path.relative_to(folder).as_posix(), path


def fingerprint(*parts: str | Path) -> str:
    """A hash of texts and of the contents of files; a file that is not there counts as empty."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else _content(part)
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Only one process at a time gets in; the others say `waiting`, and wait. The lock dies with its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(file: Path, content: bytes) -> None:
    """Replaces the contents of a file, down to the disk, at once or not at all; it keeps its permissions."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        unfinished.chmod(file.stat().st_mode & 0o7777 if file.exists() else 0o644)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def local_folder(root: Path) -> Path:
    """`.local`: what is built, logged and kept on this machine."""
    return root / ".local"


def remove(path: Path) -> None:
    """Removes a folder, if it is there."""
    if path.exists():
        shutil.rmtree(path)
