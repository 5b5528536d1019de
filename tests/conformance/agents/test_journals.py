"""Journals over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.journals import *  # noqa: F403
