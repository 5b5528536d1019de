"""Where each test belongs: which tier runs it, and with which others it has to be in one process."""

from pathlib import Path

import pytest

from support.backends import WORKER_FIXTURES

TIERS = {
    "fast": ("unit", "owner_proof", "postgres", "conformance", "api"),
    "worker": ("in_worker",),
    "tools": ("scripts", "local_runtime", "server", "docs", "bench"),
}
"""The folders of each tier. Of `conformance` and `api`, what runs in workerd is in the tier `worker`."""

_OVER_BACK_ENDS = ("conformance", "api")
# By the name of the back end, and by that of the fixture that starts its Worker.
_SERVICES = {
    "server": "server",
    **{name: name for name in WORKER_FIXTURES},
    **{fixture: name for name, fixture in WORKER_FIXTURES.items()},
}
_TESTS = Path(__file__).parent


def place(items: list[pytest.Item]) -> None:
    """Mark each test with its tier and its group. A group runs in one process, and so shares what it has started."""
    for item in items:
        folder, *_ = item.path.relative_to(_TESTS).parts
        (tier,) = [tier for tier, folders in TIERS.items() if folder in folders]
        group: str | None = item.path.name
        if folder in _OVER_BACK_ENDS:
            group = _service(item)
            if group is not None:
                tier = "worker" if group != "server" else tier
        item.add_marker(tier)
        if group is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(group))


def _service(item: pytest.Item) -> str | None:
    """The service that a test over several back ends is for; None where it needs none."""
    parameters = getattr(item, "callspec", None)
    values = parameters.params.values() if parameters else ()
    return next((_SERVICES[value] for value in values if isinstance(value, str) and value in _SERVICES), None)
