"""Which back end is chosen, and what the status says of it: row by row, in a Worker and on a server.

Of the Worker it is the code in this process; tests/in_worker has some rows again inside workerd.
"""

import httpx
import pytest

from support.choices import AGENTSTATE, ASKED, DEVELOPMENT, FIRST, Row, asks_for, cases, check
from support.in_process import VARIABLES, ApiTransport
from support.stores import new_memory, open_memory
from threadkeep.conversations.store import Store
from threadkeep.http.api import connect
from threadkeep.server.application import Application

pytestmark = pytest.mark.anyio

D1, OTHER_D1, OBJECT = "CONVERSATIONS_D1", "CHM_CLOUD_D1", "AGENT_CONVERSATIONS_DO"
ON = {**VARIABLES, "ENVIRONMENT": "production"}
FILE = {"SQLITE_PATH": "kept.sqlite"}
POSTGRES = {"DATABASE_URL": "postgres://u:hunter2@127.0.0.1:1/kept"}
CLICKHOUSE = {"CLICKHOUSE_AGENT_CONVERSATIONS_TABLE": "chats.kept"}
OFF = "AGENT_CONVERSATION_PERSISTENCE is not true, so nothing is kept here."
NOT_IN_MEMORY = "No back end is set up, and in production nothing is kept in memory."


def of_both(not_offered: str) -> dict[str, Row]:
    """The rows that are the same for a Worker and a server, but for the back ends that can run there."""
    return {
        "auto: memory in development": Row(DEVELOPMENT, "memory", FIRST),
        "auto: memory in tests": Row({"ENVIRONMENT": "test"}, "memory", FIRST),
        "auto: nothing in production": Row({}, None, NOT_IN_MEMORY),
        "auto: AgentState first": Row({**AGENTSTATE, **DEVELOPMENT}, None, "agentstate is not built yet"),
        "auto: ClickHouse before memory": Row({**CLICKHOUSE, **DEVELOPMENT}, None, "clickhouse is not built yet"),
        "auto: ClickHouse only where its table is set": Row(
            {"CLICKHOUSE_DATABASE": "chats", **DEVELOPMENT}, "memory", FIRST
        ),
        "forced: memory": Row({**asks_for("memory"), **DEVELOPMENT}, "memory", ASKED),
        "forced: memory in production": Row(asks_for("memory"), None, "ENVIRONMENT is production"),
        "forced: AgentState": Row({**asks_for("agentstate"), **AGENTSTATE}, None, "agentstate is not built yet"),
        "forced: ClickHouse": Row({**asks_for("clickhouse"), **CLICKHOUSE}, None, "clickhouse is not built yet"),
        "forced: what cannot run here": Row(
            {**asks_for(not_offered), **FILE}, None, f"The back end {not_offered} ", (D1, OBJECT)
        ),
        "forced: what there is not": Row(asks_for("d2"), None, "AGENT_CONVERSATION_STORE is 'd2'; it may be one of"),
        "forced: local": Row(asks_for("local"), "local", ASKED),
        "alias: of the store": Row({"CONVERSATION_STORE_BACKEND": "memory", **DEVELOPMENT}, "memory", ASKED),
        "alias: both names agree": Row(
            {**asks_for("memory"), "CONVERSATION_STORE_BACKEND": "memory", **DEVELOPMENT}, "memory", ASKED
        ),
        "disagreement: of the store": Row(
            {**asks_for("memory"), "CONVERSATION_STORE_BACKEND": "local", **DEVELOPMENT}, None, "and disagree"
        ),
        "disagreement: whether to keep": Row({"CHM_FEATURE_CONVERSATION_DB": "false"}, None, "and disagree"),
        "disagreement: of the database": Row(
            {"DATABASE_URL": "postgres://u:hunter2@a/b", "POSTGRES_URL": "postgres://u:hunter3@a/b"},
            None,
            "have different values",
        ),
        **{
            f"keeping: {name}": Row({"AGENT_CONVERSATION_PERSISTENCE": "", name: "1", **DEVELOPMENT}, "memory", FIRST)
            for name in (
                *("CHM_FEATURE_CONVERSATION_DB", "VITE_FEATURE_CONVERSATION_DB"),
                "NEXT_PUBLIC_FEATURE_CONVERSATION_DB",
            )
        },
        "not keeping": Row({"AGENT_CONVERSATION_PERSISTENCE": "", **FILE, **AGENTSTATE}, "local", OFF, (D1,)),
        "not keeping, whatever is asked for": Row(
            {"AGENT_CONVERSATION_PERSISTENCE": "false", **asks_for("memory")}, "local", OFF
        ),
    }


ON_A_WORKER = {
    **of_both("sqlite"),
    "auto: D1 before Postgres": Row(POSTGRES, "d1", FIRST, (D1,)),
    "auto: a Durable Object before Postgres": Row(POSTGRES, "durable-object", FIRST, (OBJECT,)),
    "auto: a file means nothing to it": Row(FILE, None, f"{NOT_IN_MEMORY} Bind a D1 database"),
    "auto: Postgres": Row(POSTGRES, "postgres", FIRST),
    "auto: Postgres before memory": Row({**POSTGRES, **DEVELOPMENT}, "postgres", FIRST),
    "auto: Postgres by Hyperdrive": Row({"HYPERDRIVE": POSTGRES["DATABASE_URL"]}, "postgres", FIRST),
    "forced: Postgres": Row({**POSTGRES, **asks_for("postgres")}, "postgres", ASKED, (D1, OBJECT)),
    "forced: Postgres without a URL": Row(asks_for("postgres"), None, "DATABASE_URL is not set", (D1, OBJECT)),
    "disagreement: of a URL and Hyperdrive": Row(
        {**POSTGRES, "HYPERDRIVE": "postgres://u:hunter3@a/b"}, None, "have different values", (D1,)
    ),
    "auto: D1": Row({}, "d1", FIRST, (D1,)),
    "auto: D1 under its other name": Row({}, "d1", FIRST, (OTHER_D1,)),
    "auto: D1 before a Durable Object": Row({}, "d1", FIRST, (D1, OBJECT)),
    "auto: a Durable Object": Row({}, "durable-object", FIRST, (OBJECT,)),
    "auto: a Durable Object under a name of its own": Row(
        {"AGENT_CONVERSATIONS_DO_BINDING": "OBJECTS"}, "durable-object", FIRST, ("OBJECTS",)
    ),
    "auto: D1 before memory": Row(DEVELOPMENT, "d1", FIRST, (D1,)),
    "auto: AgentState before D1": Row(AGENTSTATE, None, "agentstate is not built yet", (D1,)),
    "forced: D1": Row(asks_for("d1"), "d1", ASKED, (D1, OBJECT)),
    "forced: D1 without a binding": Row(asks_for("d1"), None, "there is no D1 binding CONVERSATIONS_D1", (OBJECT,)),
    "forced: a Durable Object": Row(asks_for("durable-object"), "durable-object", ASKED, (D1, OBJECT)),
    "forced: a Durable Object without a binding": Row(
        asks_for("durable-object"), None, "there is no Durable Object binding AGENT_CONVERSATIONS_DO", (D1,)
    ),
}
IN_MEMORY = {"SQLITE_PATH": ":memory:"}
NO_FILE = (
    "SQLITE_PATH is :memory:, which is no file; set it to the path of one, and AGENT_CONVERSATION_STORE to sqlite."
)
ON_A_SERVER = {
    **of_both("d1"),
    "auto: a file is not taken by itself": Row(
        FILE,
        None,
        f"{NOT_IN_MEMORY} SQLITE_PATH alone does not ask for a file; set AGENT_CONVERSATION_STORE to sqlite.",
    ),
    "auto: a file in memory": Row(IN_MEMORY, None, f"{NOT_IN_MEMORY} {NO_FILE}"),
    "auto: Postgres": Row(POSTGRES, "postgres", FIRST),
    "auto: Postgres before memory": Row({**POSTGRES, **DEVELOPMENT}, "postgres", FIRST),
    "auto: Postgres before ClickHouse": Row({**POSTGRES, **CLICKHOUSE}, "postgres", FIRST),
    "auto: AgentState before Postgres": Row({**POSTGRES, **AGENTSTATE}, None, "agentstate is not built yet"),
    **{
        f"auto: Postgres by {name}": Row({name: POSTGRES["DATABASE_URL"]}, "postgres", FIRST)
        for name in ("POSTGRES_URL", "POSTGRES_PRISMA_URL")
    },
    "forced: Postgres": Row({**POSTGRES, **FILE, **asks_for("postgres")}, "postgres", ASKED),
    "forced: Postgres without a URL": Row({**FILE, **asks_for("postgres")}, None, "DATABASE_URL is not set"),
    "forced: a file, where there is Postgres": Row({**POSTGRES, **FILE, **asks_for("sqlite")}, "sqlite", ASKED),
    "forced: a file": Row({**asks_for("sqlite"), **FILE}, "sqlite", ASKED),
    "forced: a file in production and development": Row({**asks_for("sqlite"), **FILE, **DEVELOPMENT}, "sqlite", ASKED),
    "forced: a file without a path": Row(asks_for("sqlite"), None, "SQLITE_PATH is not set"),
    "forced: a file in memory": Row({**asks_for("sqlite"), **IN_MEMORY}, None, NO_FILE),
    "forced: a file in memory, where memory may be": Row(
        {**asks_for("sqlite"), **IN_MEMORY, **DEVELOPMENT}, None, "no file; set AGENT_CONVERSATION_STORE to memory."
    ),
    "forced: a Durable Object": Row(asks_for("durable-object"), None, "there is no Durable Object binding"),
}
TAKES_A_FILE = "No other back end is set up, and this server then takes sqlite."
ON_A_SERVER_THAT_TAKES_A_FILE = {  # as `threadkeep serve` does
    "auto: a file in production": Row(FILE, "sqlite", TAKES_A_FILE),
    "auto: a file, and not memory": Row({**FILE, **DEVELOPMENT}, "sqlite", TAKES_A_FILE),
    "auto: a file in memory": Row(IN_MEMORY, None, f"{NOT_IN_MEMORY} {NO_FILE}"),
    "auto: a file in memory, where memory may be": Row(
        {**IN_MEMORY, **DEVELOPMENT},
        None,
        "No back end is set up. SQLITE_PATH is :memory:, which is no file; set AGENT_CONVERSATION_STORE to memory.",
    ),
    "auto: Postgres first": Row({**FILE, **POSTGRES}, "postgres", FIRST),
    "auto: AgentState first": Row({**FILE, **AGENTSTATE}, None, "agentstate is not built yet"),
    "auto: ClickHouse first": Row({**FILE, **CLICKHOUSE}, None, "clickhouse is not built yet"),
    "forced: memory": Row({**FILE, **DEVELOPMENT, **asks_for("memory")}, "memory", ASKED),
    "forced: a file": Row({**FILE, **asks_for("sqlite")}, "sqlite", ASKED),
}


@cases(ON_A_WORKER)
async def test_a_worker_chooses_and_tells_the_true_reason(row: Row) -> None:
    variables = {**ON, **row.variables}
    api = connect(variables.get, row.bindings.__contains__, "worker")
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=ApiTransport(api, open_nothing)) as client:
        await check(client, row)


async def open_nothing(user_id: str) -> Store:
    return open_memory(new_memory(), user_id)


@cases(ON_A_SERVER)
async def test_a_server_chooses_and_tells_the_true_reason(row: Row) -> None:
    await check_on_a_server(row, None)


@cases(ON_A_SERVER_THAT_TAKES_A_FILE)
async def test_a_server_that_takes_a_file_chooses_it_last_and_says_so(row: Row) -> None:
    await check_on_a_server(row, "sqlite")


async def check_on_a_server(row: Row, default_store: str | None) -> None:
    app = Application({**ON, **row.variables}.get, default_store)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=transport) as client:
        await check(client, row)


def test_the_deprecated_name_is_warned_of_and_no_other() -> None:
    def warnings(name: str) -> tuple[str, ...]:
        api = connect({**ON, "AGENT_CONVERSATION_PERSISTENCE": "", name: "true"}.get, lambda name: False, "server")
        return api.settings.warnings

    assert warnings("NEXT_PUBLIC_FEATURE_CONVERSATION_DB") == (
        "NEXT_PUBLIC_FEATURE_CONVERSATION_DB is deprecated; set AGENT_CONVERSATION_PERSISTENCE instead.",
    )
    for name in ("CHM_FEATURE_CONVERSATION_DB", "VITE_FEATURE_CONVERSATION_DB"):
        assert warnings(name) == ()
