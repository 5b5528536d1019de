"""Every statement that is run to keep conversations and the state of agents, once for all databases, by name.

Each names the user for every table that it reads or writes (`alias.user_id = :user`), and a test reads them all to see
that it does. Rows are handed over as JSON and leave as one JSON text: a value crosses to Python once, not once for each
cell. What differs from product to product is said by the dialect.
"""

from functools import cached_property

from threadkeep.storage.sql.executor import Query
from threadkeep.storage.sql.statements.blobs import Blobs
from threadkeep.storage.sql.statements.branches import Branches
from threadkeep.storage.sql.statements.drafts import Drafts
from threadkeep.storage.sql.statements.erasing import Erasing
from threadkeep.storage.sql.statements.expiring import Expiring
from threadkeep.storage.sql.statements.forking import Forking
from threadkeep.storage.sql.statements.indexing import Indexing
from threadkeep.storage.sql.statements.journals import Journals
from threadkeep.storage.sql.statements.linking import Linking
from threadkeep.storage.sql.statements.messages import Messages
from threadkeep.storage.sql.statements.reading import Reading
from threadkeep.storage.sql.statements.searching import Searching
from threadkeep.storage.sql.statements.tasks import Tasks
from threadkeep.storage.sql.statements.threads import Threads
from threadkeep.storage.sql.statements.writing import Writing


class Statements(
    Writing,
    Branches,
    Drafts,
    Forking,
    Indexing,
    Linking,
    Reading,
    Messages,
    Searching,
    Erasing,
    Expiring,
    Journals,
    Tasks,
    Blobs,
    Threads,
):
    """The statements in the words of one dialect. Each is made when it is first asked for."""

    def queries(self) -> dict[str, Query]:
        """All of them by name; of several that are run together, each by its place among them."""
        found: dict[str, Query] = {}
        for base in type(self).__mro__:
            for name in vars(base):
                if isinstance(vars(base)[name], cached_property):
                    made = getattr(self, name)
                    several = made if isinstance(made, tuple) else ()  # None is what a dialect does without
                    found |= {f"{name}_{place}": each for place, each in enumerate(several, 1)}
                    found |= {name: made} if isinstance(made, Query) else {}
        return found
