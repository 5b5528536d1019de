"""Metrics for Prometheus: how many requests, how they ended, how long they took. No label names a user or an id."""

import os
from typing import TYPE_CHECKING

from threadkeep.errors import Unavailable
from threadkeep.http.messages import Response

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PROCESSES_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder where several processes put their figures together."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one application."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Histogram

        self._registry = registry
        self._requests = Counter(
            "threadkeep_requests", "Requests that were answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "threadkeep_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def response(self) -> Response:
        """The figures of all processes, as Prometheus reads them."""
        from prometheus_client import CollectorRegistry, generate_latest, multiprocess
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

        registry = self._registry
        if os.environ.get(PROCESSES_FOLDER):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(200, {"content-type": CONTENT_TYPE_PLAIN_0_0_4}, generate_latest(registry))


def new_metrics() -> Metrics:
    """Figures that begin at zero. Raises Unavailable where the library for them is not installed."""
    try:
        from prometheus_client import CollectorRegistry
    except ImportError as error:
        raise Unavailable("METRICS is true, and prometheus-client is missing: install threadkeep[server].") from error
    return Metrics(CollectorRegistry())
