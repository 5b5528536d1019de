"""Claims the folder in which a service keeps its data between runs, and what it needs while it runs."""

import fcntl
import shutil
from pathlib import Path
from typing import IO

from tools.checkout import Problem

MARK = ".threadkeep-state"


class State:
    """One such folder. It carries a mark, and only what carries it is ever written to or cleared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"  # the databases
        self.source = self.folder / "src"  # what workerd runs; wrangler watches it
        self.workerd = self.folder / "workerd"  # the program that wrangler starts
        self.log = self.folder / "worker.log"
        self.configuration = self.folder / "wrangler.json"
        self._lock: IO[str] | None = None

    def claim(self) -> None:
        """Takes the folder for this process, until `release` or the process's end."""
        mark = self.folder / MARK
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not mark.exists() and any(self.folder.iterdir()):
                raise Problem(f"{self.folder} holds something else: name an empty or a new folder with --state")
            self._lock = mark.open("a")
        except OSError as error:
            raise Problem(f"cannot keep data in {self.folder}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise Problem(
                f"another Worker runs on {self.folder}: stop it, or name another folder with --state"
            ) from None

    def release(self) -> None:
        """Lets others have the folder."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def clear(self) -> None:
        """Forgets everything in it."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()
