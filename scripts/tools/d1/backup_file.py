"""Reads and writes the file of a backup: a line of JSON with what it holds, a line for each row, and the checksum.

It needs msgspec, and so a script that went on in the checkout's environment.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from tools.checkout import Problem
from tools.exit_codes import Code

VERSION = 1
_LINE_BYTES_MAX = 32_000_000  # a row of D1 has 2 MB, and JSON writes no byte with more than six

Row = Sequence[Any]


class Header(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The first line. `schema` is the newest migration that the database had."""

    threadkeep: str
    version: int
    schema: str
    created_at: str
    tables: dict[str, list[str]]
    """The columns of each table, in the order of its rows' values."""
    rows: dict[str, int]


class _Footer(msgspec.Struct, forbid_unknown_fields=True):
    """The last line: of everything before it."""

    sha256: str


def write_backup(file: Path, header: Header, rows: Iterable[tuple[str, Row]]) -> str:
    """Writes a file that nobody else can read, down to the disk; returns its checksum."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
        for value in (header, *([table, *row] for table, row in rows)):
            line = msgspec.json.encode(value) + b"\n"
            digest.update(line)
            output.write(line)
        output.write(msgspec.json.encode(_Footer(digest.hexdigest())) + b"\n")
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


class BackupReader:
    """Reads a backup, and raises a Problem where it is not what was written."""

    def __init__(self, file: Path) -> None:
        self._name = str(file)
        self._digest = hashlib.sha256()
        self.sha256 = ""
        """The checksum, once all rows are read."""
        try:
            self._input: IO[bytes] = file.open("rb")
        except OSError as error:
            raise Problem(f"cannot read {file}: {error.strerror}", Code.FILE_UNUSABLE) from None
        try:
            self.header = self._read_header()
        except BaseException:
            self._input.close()
            raise

    def __enter__(self) -> "BackupReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()

    def rows(self) -> Iterator[tuple[str, Row]]:
        """The rows, table by table, as the header says; behind the last, the checksum is compared."""
        for table, count in self.header.rows.items():
            for number in range(1, count + 1):
                line = self._line()
                if not line.endswith(b"\n"):
                    raise self._wrong(f"is cut off in row {number} of {count} of the table {table}")
                yield table, self._row(line, table)
                self._digest.update(line)
        self._check_end()

    def _read_header(self) -> Header:
        line = self._line()
        try:
            version = msgspec.json.decode(line)["version"] if b'"threadkeep":"backup"' in line else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError):
            version = None
        if not isinstance(version, int):
            raise self._wrong("is no backup of Threadkeep")
        if version > VERSION:
            raise self._wrong(f"is of the form {version}, and these scripts read {VERSION}: take newer ones")
        try:
            header = msgspec.json.decode(line, type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._wrong(f"has been changed: {error}") from None
        if header.tables.keys() != header.rows.keys():
            raise self._wrong("has been changed: its first line names other tables than it counts")
        self._digest.update(line)
        return header

    def _row(self, line: bytes, table: str) -> Row:
        try:
            name, *row = msgspec.json.decode(line, type=list[str | int | None])
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise self._wrong(f"has been changed: a row of the table {table} is none") from None
        if name != table or len(row) != len(self.header.tables[table]):
            raise self._wrong(f"has been changed: a row of the table {table} is none")
        return row

    def _check_end(self) -> None:
        line = self._line()
        if not line.endswith(b"\n"):
            raise self._wrong("is cut off before its checksum")
        try:
            sha256 = msgspec.json.decode(line, type=_Footer).sha256
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._wrong("has been changed: it holds more rows than it counts") from None
        if sha256 != self._digest.hexdigest() or self._line():
            raise self._wrong("has been changed since it was written: its checksum is another")
        self.sha256 = sha256

    def _line(self) -> bytes:
        try:
            return self._input.readline(_LINE_BYTES_MAX)
        except OSError as error:
            raise Problem(f"cannot read {self._name}: {error.strerror}", Code.FILE_UNUSABLE) from None

    def _wrong(self, what: str) -> Problem:
        return Problem(f"{self._name} {what}", Code.NOT_A_BACKUP)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A folder beside `file` that nobody else can read. What is put there by the name `backup` takes the file's place.

    That happens at once, at the end, or not at all. Raises a Problem where the file cannot be written.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if file.exists() and not os.access(file, os.W_OK):  # a rename would not ask
            raise PermissionError(0, "it is write-protected")
        folder = Path(tempfile.mkdtemp(prefix=f".{file.name[:100]}.", dir=file.parent))
    except OSError as error:
        raise _unwritable(file, error) from None
    try:
        yield folder
        os.replace(folder / "backup", file)
        _sync(file.parent)
    except OSError as error:
        raise _unwritable(file, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Has the folder's entry on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(file: Path, error: OSError) -> Problem:
    return Problem(f"cannot write {file}: {error.strerror}", Code.FILE_UNUSABLE)


def header_of(schema: str, created_at: str, tables: Mapping[str, list[str]], rows: Mapping[str, int]) -> Header:
    """The header of a new backup."""
    return Header("backup", VERSION, schema, created_at, dict(tables), dict(rows))
