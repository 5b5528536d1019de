"""Races over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.races import *  # noqa: F403
