"""Where each test belongs: which tier runs it, and with which others it has to be in one process."""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from support.backends import WORKER_FIXTURES

TIERS = {
    "fast": ("unit", "owner_proof", "postgres", "conformance", "api"),
    "worker": ("in_worker",),
    "tools": ("scripts", "local_runtime", "server", "docs", "bench", "clients"),
    "nightly": ("nightly",),
}
"""The folders of each tier. Of `conformance` and `api`, what runs in workerd is in the tier `worker`."""

_SECONDS_OF_A_TEST = 0.3
_SECONDS = {
    "tests/clients/test_flue.py": 120,
    "tests/clients/test_ai_sdk_reload.py": 30,
    "tests/in_worker/test_following_in_worker.py": 100,
    "tests/in_worker/test_large_bodies.py": 25,
    "tests/in_worker/test_flue_sessions.py": 15,
    "tests/in_worker/test_own_workers.py": 50,
    "tests/in_worker/test_postgres_in_worker.py": 30,
    "tests/in_worker/test_purging.py": 25,
    "tests/in_worker/test_traces.py": 50,
    "tests/in_worker/test_waking_up.py": 10,
    "tests/scripts/test_scripts_bad_input.py": 45,
    "tests/local_runtime/test_local_worker.py": 40,
    "tests/scripts/test_backup.py": 38,
    "tests/scripts/test_migrate.py": 30,
    "tests/scripts/test_move_sessions.py": 25,
    "tests/server/test_live.py": 60,
    "tests/server/test_load.py": 28,
    "tests/server/test_langgraph_killed.py": 27,
    "tests/scripts/test_setup.py": 25,
    "tests/scripts/test_deploy.py": 24,
    "tests/server/test_containers.py": 22,
    "tests/server/test_serve_command.py": 20,
    "tests/server/test_kills.py": 8,
    "tests/docs/test_shapes.py": 20,
    "tests/bench/test_bench.py": 19,
    "tests/local_runtime/test_scripts_dev.py": 18,
    "tests/bench/test_contestants.py": 16,
    "tests/server/test_waiting.py": 15,
    "tests/scripts/test_suites.py": 15,
    "tests/scripts/test_mutate.py": 14,
    "tests/clients/test_generated_clients.py": 13,
    "tests/scripts/test_restore.py": 12,
}
"""Roughly, of groups of few tests that take long. Begun last, one of these would have the other process wait for it."""

_OVER_BACK_ENDS = ("conformance", "api")
# By the name of the back end, and by that of the fixture that starts its Worker.
_SERVICES = {
    "server": "server",
    **{name: name for name in WORKER_FIXTURES},
    **{fixture: name for name, fixture in WORKER_FIXTURES.items()},
}
_names_service = re.compile(rf"[\[-]({'|'.join(map(re.escape, _SERVICES))})(?=[\]-])").search


def place(items: list[pytest.Item]) -> None:
    """Mark each test with its tier."""
    for item in items:
        folder = item.nodeid.split("/")[1]
        (tier,) = [tier for tier, folders in TIERS.items() if folder in folders]
        item.add_marker("worker" if group_of(item.nodeid) in WORKER_FIXTURES else tier)


def group_of(nodeid: str) -> str:
    """What a test shares with others, and so one process runs: a Worker, the server, or what its file has made."""
    path, _, test = nodeid.partition("::")
    if path.split("/")[1] not in _OVER_BACK_ENDS:
        return path
    service = _names_service(test)
    return _SERVICES[service[1]] if service else nodeid


class GroupScheduling(LoadScopeScheduling):
    """Gives each group to one of the processes, the longest first."""

    # Not the marks of pytest-xdist: it writes them into the id of a test, where pytest 9.2 does not look any more.
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        largest = next(iter(self.workqueue))
        longest = max([largest, *(_SECONDS.keys() & self.workqueue.keys())], key=self._seconds)
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)

    def _seconds(self, group: str) -> float:
        return _SECONDS.get(group, _SECONDS_OF_A_TEST * len(self.workqueue[group]))
