"""Blobs over all of our back ends, by the suite that anybody can run."""

from threadkeep.conformance.blobs import *  # noqa: F403
