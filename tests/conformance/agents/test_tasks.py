"""Tasks over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.tasks import *  # noqa: F403
