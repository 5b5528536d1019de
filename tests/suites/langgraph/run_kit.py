"""Runs LangGraph's conformance kit over our checkpointer, with a new user for each of its capabilities.

The store is the SQLite file that THREADKEEP_FILE names, opened in this process, or else the Threadkeep that
THREADKEEP_URL and THREADKEEP_KEY lead to. The result goes to the file that RESULT names.
"""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import CapabilityResult, ProgressCallbacks

from threadkeep.adapters.langgraph import ThreadkeepSaver


@checkpointer_test(name="ThreadkeepSaver")
async def checkpointer() -> AsyncIterator[ThreadkeepSaver]:
    """A checkpointer of a user whom nobody has seen before."""
    user = f"langgraph-{uuid.uuid4().hex}"
    async with ThreadkeepSaver(os.environ.get("THREADKEEP_FILE"), user=user) as saver:
        yield saver


def failures(capability: str, result: CapabilityResult) -> list[str]:
    """What went wrong in a capability: each test that failed, or that the kit does not see it."""
    if not result.detected:
        return [f"{capability}: the kit does not see it"]
    return [f"{capability}: {failure.strip()}" for failure in result.failures]


def main() -> None:
    """Runs all of the kit."""
    report = asyncio.run(validate(checkpointer, progress=ProgressCallbacks.verbose()))
    found: dict[str, Any] = {
        "passed": sum(result.tests_passed for result in report.results.values()),
        "failures": [line for name, result in report.results.items() for line in failures(name, result)],
    }
    Path(os.environ["RESULT"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
