"""What a back end is: one object that says what it is, what it lacks and what it can do, and that connects.

The objects are in `__init__.py` of each product's folder, and listed in `backends.py`. They import nothing but the
standard library and this, since every process has all of them, and the scripts read them before anything is installed.
What a back end is made of is its drivers: modules that are imported when it is connected to.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Container
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

from threadkeep.errors import Unavailable, Unsupported

if TYPE_CHECKING:
    from threadkeep.conversations.store import DatabaseStore, UsersToExpire
    from threadkeep.settings import Settings
    from threadkeep.signals import Signals

Platform = Literal["worker", "server"]
PLATFORMS: frozenset[Platform] = frozenset(get_args(Platform))

Capability = Literal["search", "changes", "import", "transactions", "agents"]
"""What a back end may be unable to do. All else, every back end does.

    search         finds messages and titles by their words
    changes        tells what has changed since a cursor
    import         keeps documents with the times that they bring
    transactions   keeps all of several messages that are sent at once, or none
    agents         keeps the state of agents
"""
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)


class Place(Protocol):
    """Where the code runs, as a back end sees it when it connects."""

    @property
    def platform(self) -> Platform:
        """What runs it."""

    @property
    def settings(self) -> "Settings":
        """What the environment says."""

    @property
    def storage(self) -> Any:
        """The storage of the Durable Object that this is, as JavaScript has it; None anywhere else."""

    def binding(self, name: str) -> Any:
        """What the platform has bound under a name, as JavaScript has it; None where there is nothing."""


class Database(Protocol):
    """A back end that is connected, with the conversations of all of its users."""

    def open_store(self, user_id: str, bookmark: str | None = None) -> "DatabaseStore":
        """A user's store. With a bookmark it sees at least what the store saw that gave it: see `Store.bookmark`."""

    async def users_to_purge(self, until: int, limit: int) -> list[str]:
        """Some of the users who deleted something then or before, in Unix milliseconds, or have something to sweep."""

    async def users_to_expire(self, before: int, spares: Collection[str], after: str, limit: int) -> "UsersToExpire":
        """Those of the next users after one, in order, for whom `Upkeep.expire` has something to do."""

    async def users_with_overdue_drafts(self, limit: int) -> list[str]:
        """Some of the users who may have drafts past their deadline."""

    async def tidy_index(self) -> bool:
        """`Upkeep.tidy`, for all users. Raises Unavailable."""

    async def tidy(self) -> None:
        """Remove what is left in logs of what was erased. Raises Unavailable."""

    async def hear(self, signals: "Signals") -> None:
        """Tell `signals` what other processes write, and them what this one does, until canceled; return if none can.

        It tells `signals` when it begins to hear. Raises whatever ends that: whoever called it calls it again.
        """

    async def check(self) -> None:
        """Raises Unavailable where it does not answer, or has taken no write when that was last tried."""

    async def close(self) -> None:
        """Finish what is running, and let go of it."""


class Backend(ABC):
    """One back end. There is one object of each, and nobody has to ask for its name to know what to do."""

    name: ClassVar[str]
    """What AGENT_CONVERSATION_STORE calls it."""
    worker_driver: ClassVar[str | None] = None
    """The module that a Worker connects by; None where it cannot run there. It has `async def connect(place)`, which
    returns a `Database`, and it imports all that a request needs."""
    server_driver: ClassVar[str | None] = None
    """The same, of a server."""
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    is_built: ClassVar[bool] = True
    is_automatic: ClassVar[bool] = True
    """Whether `auto` takes it where it is set up."""
    is_persistent: ClassVar[bool] = True
    """Whether what it keeps outlives the process."""
    keeps_conversations: ClassVar[bool] = True
    """Whether it is a back end at all, and not the client's own."""
    outlives_request: ClassVar[bool] = False
    """Whether a Worker stays connected from one request to the next. Most of what a request opens ends with it."""
    purges_itself: ClassVar[bool] = False
    """Whether no timer has to purge it."""
    setting: ClassVar[str | None] = None
    """The field of `Settings` that says where it is, or lets us in; None where a binding does, or nothing."""
    how: ClassVar[str | None] = None
    """How to set it up, as a part of a sentence; None where nobody should do so for want of another."""

    @property
    def runs_on(self) -> frozenset[Platform]:
        """Where it runs."""
        return frozenset(platform for platform in PLATFORMS if self.driver(platform) is not None)

    @property
    def folder(self) -> str:
        """The folder of its product, from `src/` on."""
        return type(self).__module__.replace(".", "/")

    def driver(self, platform: Platform) -> str | None:
        """The module that it is connected by on a platform."""
        return self.worker_driver if platform == "worker" else self.server_driver

    def bindings(self, settings: "Settings") -> tuple[str, ...]:
        """The names under which a platform may have bound it, the first being the one to use."""
        return ()

    @abstractmethod
    def missing(self, settings: "Settings", bindings: Container[str]) -> str | None:
        """Why it cannot be used, as a clause; None where it is set up. `bindings` are those that the platform has."""

    def hint(self, settings: "Settings") -> str | None:
        """What to do, where it seems to be wanted and `auto` does not take it."""
        return None

    def shown(self, settings: "Settings") -> str:
        """Where it is, for the line that says that a server is ready; empty where that is nobody's business."""
        return ""

    def elsewhere(self, place: Place) -> Any:
        """The Durable Objects in which the whole request of a user is answered; None where it is answered here."""
        return None

    async def connect(self, place: Place) -> Database:
        """Connect from a place, and bring the schema to the newest version where nobody else does.

        Raises Unavailable where it cannot be reached or used, or where its driver is not there.
        """
        name = self.driver(place.platform)
        assert name is not None  # noqa: S101 what cannot run there is not chosen
        try:
            driver = import_module(name)
        except ImportError as error:
            raise Unavailable(self._without_driver(place.platform, error)) from error
        database: Database = await driver.connect(place)
        return database

    def check_capability(self, capability: Capability | None) -> None:
        """Raises Unsupported for what it cannot do."""
        if capability is not None and capability not in self.capabilities:
            raise Unsupported(
                f"The back end {self.name} does not support {capability}. "
                "GET /api/conversations/status lists what it supports, under `capabilities`."
            )

    def _without_driver(self, platform: Platform, error: ImportError) -> str:
        if platform == "server":
            return f"The back end {self.name} needs {error.name}: install threadkeep[{self.name}]."
        return (
            f"This Worker was deployed without the back end {self.name}. "
            f"Bind it in wrangler.toml, or set AGENT_CONVERSATION_STORE to {self.name} there, and run scripts/deploy."
        )


class Planned(Backend):
    """A back end that is known by its name and settings, so that nothing else is taken in its place, and not built."""

    is_built = False
