"""Repeated writes over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.repeats import *  # noqa: F403
