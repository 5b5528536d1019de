"""Cloudflare's API, for scripts that would otherwise speak to the real one."""

from collections.abc import Iterator

import pytest

from fakes.cloudflare_api import CloudflareApi


@pytest.fixture
def cloudflare_api() -> Iterator[CloudflareApi]:
    """The fake, with an account that is empty. What it does not know fails the test."""
    with CloudflareApi() as api:
        yield api
    assert api.unexpected == []
