"""Records the hashes of migrations that have landed: a file that was applied anywhere must never change again.

`hashes.txt` beside them has a line for each, as `sha256sum` writes it: the SHA-256 of the file, and its name.
"""

import hashlib
from pathlib import Path

from tools.checkout import Problem


def check_hashes(migrations: Path) -> None:
    """Raises a Problem for a migration that has changed since it landed, that is gone, or that has no hash yet."""
    recorded = _checked(migrations)
    for name in _actual(migrations):
        if name not in recorded:
            raise Problem(f"{name} has no hash in {_file(migrations)}: run scripts/lock, and commit what it writes")


def record_hashes(migrations: Path) -> None:
    """Writes down the hashes of new migrations; one that has changed is a Problem, and nothing is written."""
    recorded = _checked(migrations)
    lines = [f"{hash_}  {name}\n" for name, hash_ in {**_actual(migrations), **recorded}.items()]
    _file(migrations).write_text("".join(sorted(lines, key=lambda line: line.split()[1])))


def _checked(migrations: Path) -> dict[str, str]:
    """The hashes on record, each of them still true."""
    recorded = _recorded(migrations)
    actual = _actual(migrations)
    for name, hash_ in recorded.items():
        if name not in actual:
            raise Problem(f"{name} is gone, and databases have it: bring it back, and undo it in a new migration")
        if actual[name] != hash_:
            raise Problem(
                f"{name} has changed since it landed, and databases have it as it was: undo the change, and make a new "
                f"migration of it (or, if it was never applied anywhere, take its line out of {_file(migrations)})"
            )
    return recorded


def _recorded(migrations: Path) -> dict[str, str]:
    file = _file(migrations)
    recorded = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        hash_, _, name = line.partition("  ")
        if not name:
            raise Problem(f"{file} has a line that is no hash and name: {line[:100]}")
        recorded[name] = hash_
    return recorded


def _actual(migrations: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(migrations.glob("*.sql"))}


def _file(migrations: Path) -> Path:
    return migrations / "hashes.txt"
