"""Each third answer is lost on its way, and the client asks again: at the end all is as if none had been lost."""

import pytest

from support.backends import SERVER, Backend, shared_by_all_tests
from support.lives import LIVES, Life, asking
from support.lossy_proxy import lossy_proxy
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[SERVER, "d1"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The plain server, and a Worker."""
    return shared_by_all_tests(request)


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
async def test_a_life_ends_the_same_where_each_third_answer_is_lost(backend: Backend, life: Life) -> None:
    url = str(backend.client.base_url)
    async with asking(url, f"undisturbed-{new_id()}") as store:
        undisturbed = await life(store)
    with lossy_proxy(url, every=3) as proxy:
        async with asking(proxy.url, f"disturbed-{new_id()}") as store:
            assert await life(store) == undisturbed
    assert proxy.lost > 5
