"""Says what is measured of agent frameworks: the stores that they bring, and Threadkeep's adapters beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FILE, POSTGRES = "SQLite file", "Postgres"
SERVED_FILE, SERVED_POSTGRES = "HTTP, SQLite file", "HTTP, Postgres"
LANGGRAPH, OPENAI, FLUE = "langgraph", "openai", "flue"
_PREFIX = "agents-"


@dataclass(frozen=True)
class Contestant:
    """A store, and where it keeps what it is given."""

    name: str
    place: str
    beside: str | None = None
    """The framework's own store that it is compared with; None for such a store."""

    def __str__(self) -> str:
        return f"{self.name}, {self.place}"


@dataclass(frozen=True)
class Framework:
    """What is measured of a framework: its operations, by the job that each of them is, and its contestants."""

    name: str
    operations: Mapping[str, str]
    contestants: Sequence[Contestant]

    def chosen(self, only: str) -> dict[str, str]:
        """The operations whose whole names begin with this."""
        named = {f"{_PREFIX}{self.name}-{name}": job for name, job in self.operations.items()}
        return {name: job for name, job in named.items() if name.startswith(only)}


FRAMEWORKS = (
    Framework(
        LANGGRAPH,
        {"put": "append", "load": "load"},
        (
            Contestant("AsyncSqliteSaver", FILE),
            Contestant("ThreadkeepSaver", FILE, "AsyncSqliteSaver"),
            Contestant("ThreadkeepSaver", SERVED_FILE, "AsyncSqliteSaver"),
            Contestant("AsyncPostgresSaver", POSTGRES),
            Contestant("ThreadkeepSaver", POSTGRES, "AsyncPostgresSaver"),
            Contestant("ThreadkeepSaver", SERVED_POSTGRES, "AsyncPostgresSaver"),
        ),
    ),
    Framework(
        OPENAI,
        {"append": "append", "load": "load"},
        (
            Contestant("SQLiteSession", FILE),
            Contestant("ThreadkeepSession", FILE, "SQLiteSession"),
            Contestant("ThreadkeepSession", SERVED_FILE, "SQLiteSession"),
        ),
    ),
    Framework(
        FLUE,
        {"append": "append", "read": "load"},
        (
            Contestant("sqlite()", FILE),
            Contestant("threadkeep()", SERVED_FILE, "sqlite()"),
        ),
    ),
)
OPERATIONS = tuple(name for framework in FRAMEWORKS for name in framework.chosen(""))
