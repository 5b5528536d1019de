"""Runs the suite by pytest, and reports by kind."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from threadkeep.agents.store import StateStore
from threadkeep.ids import new_id

KINDS = ("journals", "tasks", "blobs", "threads", "repeats", "races")
"""The parts of the suite, each a module of this package: a kind of state, or what must hold of all of them."""

OpenState = Callable[[str], AbstractAsyncContextManager[StateStore]]


def check(open_state: OpenState, kinds: Iterable[str]) -> int:
    """Test what a function opens, print a report, and return the status to exit with."""
    plugin = _Plugin(open_state)
    files = [str(Path(__file__).with_name(f"{kind}.py")) for kind in kinds]
    # Neither the settings nor the plugins of whatever stands in this folder have a part in it.
    settings = ["--config-file=/dev/null", "--rootdir", str(Path(__file__).parent), "-p", "no:cacheprovider"]
    status = pytest.main([*settings, "-q", "--tb=short", "--no-header", "--disable-warnings", *files], [plugin])
    print()
    for kind in kinds:
        passed, failed = plugin.counts[kind, "passed"], plugin.counts[kind, "failed"]
        print(f"{kind:10} {passed} of {passed + failed} passed{'' if failed else ', so it is complete'}")
    return 0 if status == 0 else 1


class _Backend:
    """What the tests get: whatever the function opens, until the test ends."""

    def __init__(self, open_state: OpenState, stack: AsyncExitStack) -> None:
        self._open_state = open_state
        self._stack = stack

    async def state(self, user_id: str | None = None) -> StateStore:
        return await self._stack.enter_async_context(self._open_state(user_id or f"conformance-{new_id()}"))


class _Plugin:
    """Gives the tests their store, and counts what comes of them."""

    def __init__(self, open_state: OpenState) -> None:
        self._open_state = open_state
        self.counts: Counter[tuple[str, str]] = Counter()

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    async def backend(self) -> AsyncIterator[_Backend]:
        async with AsyncExitStack() as stack:
            yield _Backend(self._open_state, stack)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        kind = Path(report.nodeid.partition("::")[0]).stem
        if report.failed and report.when != "call":
            self.counts[kind, "failed"] += 1
        elif report.when == "call":
            self.counts[kind, report.outcome] += 1
