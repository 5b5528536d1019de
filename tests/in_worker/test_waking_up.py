"""An object that was made before a migration applies it when it wakes up, and nothing of it is lost."""

from pathlib import Path

import httpx

from support.in_process import SERVICE_KEY, VARIABLES, as_user
from threadkeep.sql.schema import MIGRATIONS
from toolbox.worker import LocalWorker

ENTRIES = Path(__file__).parent / "entries"


def running(state: Path, main: str) -> LocalWorker:
    return LocalWorker(state, variables=VARIABLES, service_key=SERVICE_KEY, main=main, extra_sources=[ENTRIES])


def test_an_object_made_before_a_migration_applies_it_when_it_wakes_up(tmp_path: Path) -> None:
    with running(tmp_path, "entry") as worker:
        created = httpx.post(f"{worker.url}/api/conversations", json={"title": "Old"}, headers=as_user("u")).json()
    url = f"/api/conversations/{created['id']}"
    with running(tmp_path, "migrating_entry") as worker:
        for _ in range(2):
            applied = httpx.get(f"{worker.url}{url}", headers={**as_user("u"), "X-Tell": "1"}).json()
            assert applied == {
                "migrations": [*(migration.name for migration in MIGRATIONS), "9999_stars.sql"],
                "stars": {created["id"]: 5},
            }
    with running(tmp_path, "entry") as worker:
        assert httpx.get(f"{worker.url}{url}", headers=as_user("u")).json() == created
