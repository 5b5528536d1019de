"""Threads over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.threads import *  # noqa: F403
