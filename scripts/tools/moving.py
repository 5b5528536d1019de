"""Moves sessions, as rows of `id`, `data` and `updated_at`, between a server, a D1 database and a file.

It needs httpx.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from tools.checkout import Problem, say
from tools.exit_codes import Code

_TRIES = 4
_ANSWER_SECONDS = 120
_BATCH_BYTES = 4_000_000
_NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class Row:
    """A session."""

    id: str
    data: str
    updated_at: int

    @property
    def line(self) -> bytes:
        """The row as a line of a file, or of a request."""
        return json.dumps({"id": self.id, "data": self.data, "updated_at": self.updated_at}).encode() + b"\n"


@dataclass
class Report:
    """What became of rows."""

    kept: int = 0
    same: int = 0
    older: int = 0
    refused: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Counts what became of more rows."""
        self.kept += other.kept
        self.same += other.same
        self.older += other.older
        self.refused += other.refused


Digests = Mapping[str, tuple[int, str]]
"""When each session was last written, and what it says, by its id."""


class End(Protocol):
    """Where sessions are moved from, or to."""

    @property
    def name(self) -> str:
        """For people."""

    def rows(self) -> Iterator[Row]:
        """All rows, by `updated_at` and `id`."""

    def keep(self, rows: Iterable[Row]) -> Report:
        """Keeps what is newer than what is there."""


def move(source: End, target: End) -> None:
    """Moves everything, and looks whether it is there. Raises a Problem where it is not."""
    report = Report()
    for number, batch in enumerate(_batches(source.rows()), start=1):
        say(f"moving, part {number} …")
        report.add(target.keep(batch))
    print(f"{report.kept} moved, {report.same} there already, {report.older} newer there")
    for each in report.refused:
        say(f"not moved: {each}")
    say("comparing …")
    before, after = digests_of(source.rows()), digests_of(target.rows())
    for end, digests in ((source, before), (target, after)):
        print(f"{end.name}: {len(digests)} sessions, digest {digest_of_all(digests)}")
    if difference := difference_of(before, after):
        raise Problem(f"not everything is in {target.name}: {difference}")


def digests_of(rows: Iterable[Row]) -> Digests:
    """What each session is, without holding what it says."""
    return {row.id: (row.updated_at, digest_of(row.data)) for row in rows}


def digest_of_all(digests: Digests) -> str:
    """One digest of all sessions, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()[:16]


def digest_of(data: str) -> str:
    """The digest of what a text says as JSON, to the digits of its numbers; of the text itself where it is none."""
    try:
        value = json.loads(data, parse_float=_digits, parse_int=_digits)
        data = json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        pass
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()


def difference_of(before: Digests, after: Digests) -> str | None:
    """What is missing, older or different after a move; None where nothing is."""
    for id_, (updated_at, digest) in before.items():
        if id_ not in after:
            return f"{id_!r} is missing"
        time_there, digest_there = after[id_]
        if time_there < updated_at or (time_there == updated_at and digest_there != digest):
            return f"{id_!r} says something else"
    return None


def newer(rows: Iterable[Row], known: Digests) -> tuple[list[Row], Report]:
    """The rows that are to be kept where these are known, and what becomes of all of them."""
    report, chosen = Report(), {}
    for row in rows:
        time, digest = known.get(row.id, (-1, ""))
        if time > row.updated_at:
            report.older += 1
        elif (time, digest) == (row.updated_at, digest_of(row.data)):
            report.same += 1
        else:
            chosen[row.id] = row
    report.kept = len(chosen)
    return list(chosen.values()), report


@dataclass
class File:
    """A file of rows, one a line."""

    path: Path

    @property
    def name(self) -> str:
        """For people."""
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        """See `End`."""
        yield from sorted(self._read().values(), key=lambda row: (row.updated_at, row.id))

    def keep(self, rows: Iterable[Row]) -> Report:
        """See `End`. The file is replaced as a whole."""
        found = self._read() if self.path.exists() else {}
        chosen, report = newer(rows, digests_of(found.values()))
        found |= {row.id: row for row in chosen}
        whole = self.path.with_name(f"{self.path.name}.part")
        try:
            whole.touch(mode=0o600)
            in_order = sorted(found.values(), key=lambda row: (row.updated_at, row.id))
            whole.write_bytes(b"".join(row.line for row in in_order))
            whole.replace(self.path)
        except OSError as error:
            raise Problem(f"cannot write {self.path}: {error.strerror}", Code.FILE_UNUSABLE) from None
        return report

    def _read(self) -> dict[str, Row]:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise Problem(f"cannot read {self.path}: {error.strerror}", Code.FILE_UNUSABLE) from None
        rows = [row_of(line, f"line {number} of {self.path}") for number, line in enumerate(lines, start=1) if line]
        return {row.id: row for row in sorted(rows, key=lambda row: row.updated_at)}


@dataclass
class Server:
    """A space of journals of a Threadkeep."""

    url: str
    space: str
    key: str | None = None
    user: str | None = None
    transport: httpx.BaseTransport | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.url} {self.space}"

    def rows(self) -> Iterator[Row]:
        """See `End`. Where it is cut off, it goes on after the last whole row."""
        last: Row | None = None
        tries = _TRIES
        while True:
            try:
                for row in self._stream(last):
                    last, tries = row, _TRIES
                    yield row
            except httpx.TransportError as error:
                tries -= 1
                if not tries:
                    raise self._unreachable(error) from None
            else:
                return

    def keep(self, rows: Iterable[Row]) -> Report:
        """See `End`. What is sent again is there already."""
        content = b"".join(row.line for row in rows)
        for tries in range(_TRIES, 0, -1):
            try:
                with self._client() as client:
                    response = client.post(self._path, content=content, headers=_NDJSON)
                self._check(response)
            except httpx.TransportError as error:
                if tries == 1:
                    raise self._unreachable(error) from None
            else:
                break
        told = response.json()
        refused = [each["error"]["message"] for each in told["skipped"]]
        return Report(told["kept"], told["same"], told["older"], refused)

    @property
    def _path(self) -> str:
        return f"/api/journals/{quote(self.space, safe='')}/rows"

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        headers |= {"X-User-Id": self.user} if self.user else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=_ANSWER_SECONDS, transport=self.transport)

    def _stream(self, last: Row | None) -> Iterator[Row]:
        after = {} if last is None else {"after": f"{last.updated_at},{last.id}"}
        with self._client() as client, client.stream("GET", self._path, params=after) as response:
            if not response.is_success:
                response.read()
            self._check(response)
            rest = bytearray()
            for piece in response.iter_bytes():
                *ended, tail = piece.split(b"\n")
                for part in ended:
                    rest += part
                    yield row_of(bytes(rest), self.name)
                    rest.clear()
                rest += tail
            if rest:
                raise httpx.RemoteProtocolError("the last line is not whole")

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        try:
            message = response.json()["error"]["message"]
        except (ValueError, LookupError, TypeError):
            message = f"it answered {response.status_code}"
        raise Problem(f"{self.url}: {message}", Code.REQUEST_REFUSED)

    def _unreachable(self, error: httpx.TransportError) -> Problem:
        return Problem(f"{self.url} could not be reached: {error}", Code.NO_NETWORK)


def row_of(line: bytes, place: str) -> Row:
    """Reads a line. Raises a Problem where it is no row."""
    try:
        fields: dict[str, Any] = json.loads(line)
        row = Row(fields["id"], fields["data"], fields["updated_at"])
    except (ValueError, LookupError, TypeError):
        row = Row("", "", -1)
    if not (isinstance(row.id, str) and isinstance(row.data, str) and type(row.updated_at) is int) or not row.id:
        raise Problem(f'{place} is no row, such as {{"id": "a", "data": "{{}}", "updated_at": 1}}')
    return row


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + len(row.data) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.data)
    if batch:
        yield batch


def _digits(number: str) -> list[str]:
    return ["number", number]
