"""Which back end is chosen inside workerd, and what the status says of it."""

import json
from pathlib import Path

import pytest

from support.backends import over_http
from support.choices import AGENTSTATE, ASKED, DEVELOPMENT, FIRST, Row, asks_for, cases, check
from support.in_process import VARIABLES
from tools.checkout import Problem
from tools.local.worker import LocalWorker

pytestmark = pytest.mark.anyio

PRODUCTION = {"ENVIRONMENT": "production"}
NONE_IN_PRODUCTION = {**AGENTSTATE, **PRODUCTION}
FIRST_OBJECT = Row({**asks_for("auto"), **PRODUCTION}, "durable-object", FIRST)
INSIDE_WORKERD = {
    "forced: memory": Row({**asks_for("memory"), **DEVELOPMENT}, "memory", ASKED),
    "auto: a Durable Object": FIRST_OBJECT,
    "memory in production": Row({**asks_for("memory"), **NONE_IN_PRODUCTION}, None, "ENVIRONMENT is production"),
    "not built": Row({**asks_for("agentstate"), **NONE_IN_PRODUCTION}, None, "agentstate is not built yet"),
    "a file": Row({**asks_for("sqlite"), **NONE_IN_PRODUCTION}, None, "SQLITE_PATH"),
}


@cases(INSIDE_WORKERD)
async def test_a_real_worker_chooses_and_tells_the_true_reason(row: Row, durable_object_worker: LocalWorker) -> None:
    async with over_http("told by each request", durable_object_worker.url) as backend:
        backend.client.headers["X-Variables"] = json.dumps(row.variables)
        await check(backend.client, row)


async def test_a_worker_in_production_takes_its_objects_by_itself(tmp_path: Path) -> None:
    with LocalWorker(tmp_path, store="auto", variables={**VARIABLES, **PRODUCTION}) as running:
        async with over_http("auto", running.url) as backend:
            await check(backend.client, FIRST_OBJECT)


def test_a_worker_that_can_choose_none_does_not_start_and_says_why(tmp_path: Path) -> None:
    worker = LocalWorker(tmp_path, store="sqlite", variables={**VARIABLES, **NONE_IN_PRODUCTION})
    with pytest.raises(Problem, match=r"GET /api/health answers 503.*SQLITE_PATH"):
        worker.start()
