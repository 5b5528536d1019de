"""What a request costs: no more than so much for each byte of it, or of what it finds, whatever is in it.

It is counted and not timed: lines of Python, calls, characters that are normalised, and characters for the database.
"""

import json
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.in_process import VARIABLES, no_stream
from support.stores import open_sql, open_sqlite
from threadkeep import tokenizer, work
from threadkeep.conversations.store import Store
from threadkeep.http.api import Api, connect
from threadkeep.http.messages import Request, Response
from threadkeep.ids import new_id
from threadkeep.storage.sql.executor import Executor, Row, Statement

STEPS_PER_BYTE = 45
STEPS_OF_REQUEST = 20_000

BYTES = 40_000
API = "/api/conversations"

pytestmark = pytest.mark.anyio


class Meter:
    """Counts steps."""

    def __init__(self) -> None:
        self.steps = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what this thread does."""
        before = sys.gettrace(), sys.getprofile()
        sys.settrace(self._trace)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])

    def normalize(self, form: Any, text: str) -> str:
        """`unicodedata.normalize`. It sorts marks by insertion, so what it is given at once has to be short."""
        assert len(text) <= 2 * tokenizer.FOLDED_CHARACTERS_MAX
        self.steps += len(text)
        return unicodedata.normalize(form, text)

    def is_normalized(self, form: Any, text: str) -> bool:
        """`unicodedata.is_normalized`, which may have to normalize as well."""
        return self.normalize(form, text) == text

    def _trace(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.steps += event == "line"
        return self._trace

    def _profile(self, _frame: FrameType, event: str, _argument: Any) -> None:
        self.steps += event in ("call", "c_call")


class MeteredExecutor:
    """An executor that counts what crosses."""

    def __init__(self, executor: Executor, meter: Meter) -> None:
        self._executor = executor
        self._meter = meter
        self.statements = executor.statements
        self.bookmark = None
        self.clear = executor.clear

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self._meter.steps += sum(len(value) for _, values in statements for value in values if isinstance(value, str))
        return await self._executor.run(*statements)


class Service:
    """The API over SQLite, and what each request to it costs."""

    def __init__(self, api: Api, executor: Executor) -> None:
        self.meter = Meter()
        self._api = api
        self._executor = MeteredExecutor(executor, self.meter)
        self._user_id = "ada"

    def forget(self) -> None:
        """Go on as somebody who has nothing."""
        self._user_id = new_id()

    async def costs(self, method: str, path: str, body: bytes = b"") -> tuple[Response, int]:
        """The answer to a request, and what it took."""

        async def open_store(user_id: str, _: str | None) -> Store:
            return open_sql(self._executor, user_id)

        async def read() -> bytes:
            return body

        headers = {"content-type": "application/json"}
        path, _, query = path.partition("?")
        request = Request(method, path, query, headers.get, read, no_stream)
        self.meter.steps = 0
        with self.meter.running():
            response = await self._api.handle(request, open_store, user_id=self._user_id)
        return response, self.meter.steps


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(work, "_HAS_THREADS", False)  # so that all of it is done, and counted, in this one
    executor = await open_sqlite(":memory:")
    variables = {**VARIABLES, "AGENT_CONVERSATION_STORE": "sqlite", "SQLITE_PATH": "set"}
    service = Service(connect(variables.get, lambda _: False, "server"), executor)
    counted = SimpleNamespace(
        normalize=service.meter.normalize,
        is_normalized=service.meter.is_normalized,
        combining=unicodedata.combining,
        category=unicodedata.category,
    )
    monkeypatch.setattr(tokenizer, "unicodedata", counted)
    yield service
    executor.close()  # type: ignore[attr-defined]


def message(blocks: str) -> str:
    return f'{{"role":"user","content":[{blocks}]}}'


def texts(text: str) -> str:
    return json.dumps({"type": "text", "text": text}, ensure_ascii=False)


def tool_result(content: str) -> str:
    return f'{{"type":"tool_result","toolUseId":"a","content":[{content}1]}}'


def filled(piece: str, size: int = BYTES) -> str:
    """A piece as often as it takes to fill so many bytes."""
    return piece * (size // len(piece.encode()) + 1)


MESSAGES: dict[str, Callable[[], str]] = {
    "characters that become eighteen": lambda: message(texts(filled("\ufdfa"))),
    "messages of characters that become eighteen": lambda: filled(message(texts("\ufdfa" * 1_000)) + ",")[:-1],
    "different characters of Chinese": lambda: message(texts("".join(map(chr, range(0x4E00, 0x4E00 + BYTES // 3))))),
    "words of one letter": lambda: message(texts(filled("a b "))),
    "marks in the wrong order": lambda: message(texts("a" + filled("\u0301\u0316"))),
    "different marks": lambda: message(texts(filled("".join(map(chr, range(0x300, 0x36F)))))),
    "one long word": lambda: message(texts("a" * BYTES)),
    "blank lines": lambda: message(texts(filled("\u2003 \n"))),
    "blank texts": lambda: message(filled(texts(" ") + ",")[:-1]),
    "floats": lambda: message('{"type":"x","v":[' + filled("1.5,") + "1]}"),
    "floats of many digits": lambda: message('{"type":"x","v":[' + filled("1.2345678901234567890e5,") + "1]}"),
    "long integers": lambda: message('{"type":"x","v":[' + filled("1234567890123456789012,") + "1]}"),
    "nested arrays around little": lambda: message(tool_result(filled("[" * 90 + '"a"' + "]" * 90 + ","))),
    "strings nested deep": lambda: message(tool_result("[" * 90 + filled('"",') + '""' + "]" * 90 + ",")),
    "empty arrays": lambda: message(tool_result(filled("[],"))),
    "empty strings": lambda: message(tool_result(filled('"",'))),
    "objects": lambda: message(tool_result(filled('{"type":"text"},'))),
    "content that is a string": lambda: f'{{"role":"user","content":{json.dumps(filled("a b "))}}}',
    "parts of tools": lambda: message(filled('{"type":"tool-x","input":{"a":"b"},"output":["c"]},')[:-1]),
    "blocks within blocks": lambda: message('{"type":"x","content":[' + filled('{"text":"a"},') + "{}]}"),
    "blocks nested deep": lambda: message(filled('{"type":"x","content":' + "[" * 90 + '"a"' + "]" * 90 + "},")[:-1]),
    "fields that nobody sees": lambda: message('{"type":"x"' + filled(',"a":1') + "}"),
    "escapes in arguments": lambda: message('{"type":"x","arguments":"{' + filled("\\\\na") + '"}'),
    "halves in arguments": lambda: message('{"type":"x","arguments":"{' + filled("\\\\ud83d ") + '"}'),
    "almost bytes": lambda: message('{"type":"x","input":["' + filled("a" * 199 + '","') + '"]}'),
    "small messages": lambda: ",".join([message('{"type":"x"}')] * 900),
}
REQUESTS: dict[str, Callable[[str], tuple[str, str, str]]] = {
    "create": lambda messages: ("POST", API, f'{{"messages":[{messages}]}}'),
    "import": lambda messages: (
        *("POST", "/api/import"),
        f'{{"version":1,"conversation":{{"messages":[{messages}]}}}}',
    ),
}


async def check(service: Service, kind: str, messages: str) -> None:
    method, path, body = REQUESTS[kind](messages)
    text = body.encode()
    response, steps = await service.costs(method, path, text)
    assert response.status in (200, 201), response.body
    assert b'"skipped":[{' not in response.body  # type: ignore[operator]
    assert steps <= STEPS_OF_REQUEST + STEPS_PER_BYTE * len(text)


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("name", MESSAGES)
async def test_what_is_sent_costs_no_more_than_so_much_for_each_byte(service: Service, name: str, kind: str) -> None:
    await check(service, kind, MESSAGES[name]())


CHARACTERS = st.text(
    st.sampled_from("a1 \n漢가が\u3099\u0301\u0316\ufdfa½ßİﷺ㍿😀\u0e33") | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=5,
)
VALUES = st.recursive(
    st.sampled_from(['""', "1.5", "1e5", "-0.0", "12345678901234567890123", "null", "{}", "[]"])
    | CHARACTERS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")
        | st.tuples(CHARACTERS, inner).map(lambda pair: f"{{{json.dumps(pair[0])}:{pair[1]}}}")
    ),
    max_leaves=6,
)
BLOCKS = CHARACTERS.map(lambda text: texts(filled(text, 5_000))) | VALUES.map(
    lambda value: tool_result(filled(f"{value},", 5_000))
)


@given(st.lists(BLOCKS, min_size=1, max_size=3), st.sampled_from(list(REQUESTS)))
async def test_whatever_is_sent_costs_no_more_than_so_much_for_each_byte(blocks: list[str], kind: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        async for made in service.__wrapped__(monkeypatch):  # type: ignore[attr-defined]
            await check(made, kind, message(",".join(blocks)))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("漢" * 15_999 + "字", '"' + "漢" * 31 + '字"'),
        ("a " * 7_999 + "b", '"' + "a " * 31 + 'b"'),
        ("ab " * 5_000 + "b", '"' + "ab " * 31 + 'b"'),
        ("a " * 8_000, "a"),
        ("a" * 16_000, "aaaa"),
        ("\ufdfa " * 5_000, "\ufdfa"),
        ("x " + "漢字" * 7_000, "x " + "漢字" * 15),
    ],
)
async def test_what_is_found_costs_no_more_than_so_much_for_each_byte_of_it(
    service: Service, text: str, query: str
) -> None:
    _, _, body = REQUESTS["create"](message(texts(text)))
    await service.costs("POST", API, body.encode())
    await check_search(service, query)


@pytest.mark.parametrize("content", [filled("[" * 90 + '"a"' + "]" * 90 + ","), filled('{"b":"a"},'), filled("1.5,")])
async def test_a_hit_in_what_a_tool_answered_costs_no_more_than_so_much_for_each_byte_of_it(
    service: Service, content: str
) -> None:
    _, _, body = REQUESTS["create"](message(f"{texts('a')},{tool_result(content)}"))
    await service.costs("POST", API, body.encode())
    await check_search(service, "a")


async def check_search(service: Service, query: str) -> None:
    response, steps = await service.costs("GET", f"{API}/search?q={quote(query)}")
    assert isinstance(response.body, bytes)
    found = json.loads(response.body)["hits"]
    assert steps <= STEPS_OF_REQUEST + STEPS_PER_BYTE * len(response.body)
    # What is asked for in vain is not found by the database, and costs no more than a question.
    assert found or steps <= STEPS_OF_REQUEST


async def test_what_is_refused_costs_no_more_than_what_is_kept(service: Service) -> None:
    for body in (
        b'{"a":[' + b"[]," * 13_000 + b"1]}",
        b"[" + b"1," * 20_000 + b"1]",
        b"[" * 40_000,
        b'"\\ud83d' * 5_000,
    ):
        response, steps = await service.costs("POST", API, body)
        assert response.status == 400
        assert steps <= STEPS_OF_REQUEST + STEPS_PER_BYTE * len(body)
