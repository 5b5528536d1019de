"""Every route, one file a resource. The order of the imports is the order of the documentation."""

# isort: off
from threadkeep.http.routes import conversations  # noqa: F401 imported for the routes that it declares, as are these:
from threadkeep.http.routes import messages, branches, context, drafts, search, changes  # noqa: F401
from threadkeep.http.routes import export_and_import  # noqa: F401
from threadkeep.http.routes import journals, rows, tasks, blobs, threads, openai, me, public  # noqa: F401
from threadkeep.http.routes.base import ROUTES

__all__ = ["ROUTES"]
