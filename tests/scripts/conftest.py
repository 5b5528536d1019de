"""Cloudflare's API, for scripts that would otherwise speak to the real one, and databases that are migrated already."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.cloudflare_api import CloudflareApi
from toolbox.checkout import ROOT
from toolbox.deploying import local_database
from toolbox.migrating import local_target, migrate


@pytest.fixture
def cloudflare_api() -> Iterator[CloudflareApi]:
    """The fake, with an account that is empty. What it does not know fails the test."""
    with CloudflareApi() as api:
        yield api
    assert api.unexpected == []


@pytest.fixture(scope="session")
def migrated_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose D1 database has our migrations, made once. Nobody writes to it."""
    state = tmp_path_factory.mktemp("migrated") / "state"
    with local_target(local_database(ROOT, None), state) as target:
        migrate(target)
    return state


@pytest.fixture
def new_state(migrated_state: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a state folder of that name, with a database that is migrated and empty."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(migrated_state, tmp_path / name))

    return copy
