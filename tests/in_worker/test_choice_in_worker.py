"""Which back end is chosen inside workerd, and what the status says of it."""

from pathlib import Path

import pytest

from support.backends import over_http
from support.choices import AGENTSTATE, ASKED, DEVELOPMENT, FIRST, Row, asks_for, cases, check
from support.in_process import VARIABLES
from toolbox.checkout import Problem
from toolbox.worker import LocalWorker

pytestmark = pytest.mark.anyio

INSIDE_WORKERD = {
    "forced: memory": Row({**asks_for("memory"), **DEVELOPMENT}, "memory", ASKED),
    "auto: a Durable Object": Row({**asks_for("auto"), "ENVIRONMENT": "production"}, "durable-object", FIRST),
}


@cases(INSIDE_WORKERD)
async def test_a_real_worker_chooses_and_tells_the_true_reason(row: Row, tmp_path: Path) -> None:
    store = row.variables["AGENT_CONVERSATION_STORE"]
    with LocalWorker(tmp_path, store=store, variables={**VARIABLES, **row.variables}) as running:
        async with over_http(store, running.url) as backend:
            await check(backend.client, row)


@pytest.mark.parametrize(
    ("store", "says"),
    [("agentstate", "agentstate is not built yet"), ("memory", "ENVIRONMENT is production"), ("sqlite", "SQLITE_PATH")],
)
def test_a_real_worker_that_can_choose_none_answers_503_and_says_why(store: str, says: str, tmp_path: Path) -> None:
    variables = {**VARIABLES, **AGENTSTATE, "ENVIRONMENT": "production"}
    worker = LocalWorker(tmp_path, store=store, variables=variables)
    with pytest.raises(Problem, match=r"GET /api/health answers 503") as raised:
        worker.start()
    assert says in str(raised.value)
