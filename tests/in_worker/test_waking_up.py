"""An object that was made before a migration applies it when it wakes up, and nothing of it is lost."""

from pathlib import Path

import httpx

from support.backends import worker
from support.in_process import as_user
from threadkeep.storage.sqlite.migrations import MIGRATIONS


def test_an_object_made_before_a_migration_applies_it_when_it_wakes_up(tmp_path: Path) -> None:
    with worker("durable-object", tmp_path) as running:
        created = httpx.post(f"{running.url}/api/conversations", json={"title": "Old"}, headers=as_user("u")).json()
    url = f"/api/conversations/{created['id']}"
    with worker("durable-object", tmp_path, "migrating_entry") as running:
        for _ in range(2):
            applied = httpx.get(f"{running.url}{url}", headers={**as_user("u"), "X-Tell": "1"}).json()
            assert applied == {
                "migrations": [*(migration.name for migration in MIGRATIONS), "9999_stars.sql"],
                "stars": {created["id"]: 5},
            }
    with worker("durable-object", tmp_path) as running:
        assert httpx.get(f"{running.url}{url}", headers=as_user("u")).json() == created
