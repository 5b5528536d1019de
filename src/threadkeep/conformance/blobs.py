"""Blobs: what comes back is what was put, nothing under a key ever changes, and what does not fit is refused."""

from typing import Any

import pytest

from threadkeep.agents.blobs.models import BLOB_BYTES_MAX
from threadkeep.conformance import Backend
from threadkeep.conformance.helpers.blobs import KEY, SPACE, content_of, digest_of, put
from threadkeep.errors import Conflict, Invalid, NotFound, TooLarge

pytestmark = pytest.mark.anyio

EVERY_BYTE = bytes(range(256))
# Around the sizes at which another piece begins.
SIZES = [0, 1, 2, 3, 1_049_999, 1_050_000, 1_050_001, 2_100_001]
METAS = [
    "{}",
    '{"mimeType":"image/png","size":1.10,"big":123456789012345678901234567890,"e":1e400}',
    '{"a":"\\u00e9\\ud83d\\ude00\\u0000\\/","a":"twice","":[[],{}]}',
    '{"a":' + "[" * 99 + "]" * 99 + "}",
]


async def test_a_blob_comes_back_as_it_was_put(backend: Backend) -> None:
    store = await backend.state()
    blob, is_new = await put(store, EVERY_BYTE, media_type='text/x; charset="e"', expires_in=3_600)
    assert is_new
    assert (blob.space, blob.key, blob.size, blob.digest) == (SPACE, KEY, 256, digest_of(EVERY_BYTE))
    assert blob.media_type == 'text/x; charset="e"'
    assert blob.expires_at == blob.created_at + 3_600_000
    assert await store.get_blob(SPACE, KEY) == (blob, EVERY_BYTE)
    assert await store.find_blob(SPACE, KEY) == blob


async def test_without_more_a_blob_is_bytes_of_any_kind_and_stays(backend: Backend) -> None:
    blob, _ = await put(await backend.state())
    assert (blob.media_type, bytes(blob.meta), blob.expires_at) == ("application/octet-stream", b"{}", None)


@pytest.mark.parametrize("size", SIZES)
async def test_bytes_of_any_size_come_back(backend: Backend, size: int) -> None:
    store = await backend.state()
    content = (EVERY_BYTE * (size // 256 + 1))[:size]
    await put(store, content)
    assert await content_of(store) == content


async def test_a_blob_has_up_to_8_mebibytes_and_not_one_byte_more(backend: Backend) -> None:
    store = await backend.state()
    content = EVERY_BYTE * (BLOB_BYTES_MAX // 256)
    with pytest.raises(TooLarge):
        await put(store, content + b"x")
    with pytest.raises(NotFound):
        await store.find_blob(SPACE, KEY)
    await put(store, content)
    assert await content_of(store) == content


@pytest.mark.parametrize("meta", METAS)
async def test_metadata_comes_back_as_it_was_put_but_for_white_space(backend: Backend, meta: str) -> None:
    store = await backend.state()
    await put(store, meta=meta.replace(",", " ,\t").replace("{", "{ "))
    assert bytes((await store.find_blob(SPACE, KEY)).meta).decode() == meta
    assert (await put(store, meta=meta))[1] is False


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ("", "x-meta: This is not JSON"),
        ("{", "x-meta: This is not JSON"),
        ("[]", "x-meta: Metadata is a JSON object"),
        ("null", "x-meta: Metadata is a JSON object"),
        ('{"a":1} {}', "x-meta: This is not JSON"),
        ('{"a":"é"}', "x-meta: A header is ASCII"),
        ('{"a":"\\ud83d"}', "x-meta: A string holds half of a character"),
        ('{"a":' + "[" * 100 + "]" * 100 + "}", "x-meta: The JSON is nested more than 100 levels deep"),
    ],
)
async def test_what_is_no_json_object_is_refused_as_metadata(backend: Backend, meta: str, said: str) -> None:
    store = await backend.state()
    with pytest.raises(Invalid) as caught:
        await put(store, meta=meta)
    assert str(caught.value).startswith(said)
    with pytest.raises(NotFound):
        await store.find_blob(SPACE, KEY)


async def test_metadata_has_up_to_8_000_bytes(backend: Backend) -> None:
    store = await backend.state()
    meta = '{"a":"' + "x" * (8_000 - 8) + '"}'
    await put(store, meta=meta)
    assert bytes((await store.find_blob(SPACE, KEY)).meta).decode() == meta
    with pytest.raises(TooLarge):
        await put(store, key="other", meta=meta + " ")


@pytest.mark.parametrize("media_type", ["", "png", "image/", "a/b/c", "text/html\n", "a/b; \x7f", "x/" + "y" * 254])
async def test_what_is_no_media_type_is_refused(backend: Backend, media_type: str) -> None:
    with pytest.raises(Invalid) as caught:
        await put(await backend.state(), media_type=media_type)
    assert caught.value.path == "content-type"


async def test_bytes_with_another_digest_than_was_said_are_refused(backend: Backend) -> None:
    store = await backend.state()
    with pytest.raises(Invalid) as caught:
        await put(store, b"damaged", digest=digest_of(b"whole"))
    assert caught.value.path == "content-digest"
    with pytest.raises(NotFound):
        await store.find_blob(SPACE, KEY)
    assert (await put(store, b"whole", digest=digest_of(b"whole")))[1]


async def test_the_same_blob_again_is_a_success_and_changes_nothing(backend: Backend) -> None:
    store = await backend.state()
    fields: dict[str, Any] = {"media_type": "image/png", "meta": '{"a":1}'}
    first, _ = await put(store, EVERY_BYTE, **fields, expires_in=60)
    assert await put(store, EVERY_BYTE, **fields) == (first, False)
    assert await put(store, EVERY_BYTE, **fields, expires_in=90) == (first, False)
    assert await store.get_blob(SPACE, KEY) == (first, EVERY_BYTE)


@pytest.mark.parametrize("other", [{"content": b"other"}, {"media_type": "text/plain"}, {"meta": '{"a":2}'}])
async def test_anything_else_under_the_same_key_is_a_conflict(backend: Backend, other: dict[str, Any]) -> None:
    store = await backend.state()
    fields: dict[str, Any] = {"content": b"first", "media_type": "image/png", "meta": '{"a":1}'}
    kept, _ = await put(store, **fields)
    with pytest.raises(Conflict) as caught:
        await put(store, **fields | other)
    assert caught.value.details == {"reason": "conflict"}
    assert await store.get_blob(SPACE, KEY) == (kept, b"first")


@pytest.mark.parametrize("key", ["a/b", '["it\'s", "quoted"]', "%2F?#", "é漢😀", "k" * 512, "...", "~"])
async def test_a_key_is_any_text_without_control_characters(backend: Backend, key: str) -> None:
    store = await backend.state()
    await put(store, key.encode(), key)
    assert await content_of(store, key) == key.encode()


@pytest.mark.parametrize("key", ["", "a\n", "\x00", "\x7f", "k" * 513, ".", ".."])
async def test_a_key_that_cannot_be_one_is_refused(backend: Backend, key: str) -> None:
    store = await backend.state()
    for path, names in {"key": {"key": key}, "space": {"space": key}}.items():
        with pytest.raises(Invalid) as caught:
            await put(store, **names)
        assert caught.value.path == path


async def test_the_same_key_in_another_space_is_another_blob(backend: Backend) -> None:
    store = await backend.state()
    await put(store, b"here")
    await put(store, b"there", space="elsewhere")
    assert await content_of(store) == b"here"
    await store.delete_blob(SPACE, KEY)
    assert (await store.get_blob("elsewhere", KEY))[1] == b"there"


async def test_what_was_deleted_is_gone_and_its_key_is_free(backend: Backend) -> None:
    store = await backend.state()
    await put(store, EVERY_BYTE * 10_000)
    await store.delete_blob(SPACE, KEY)
    await store.delete_blob(SPACE, KEY)
    for call in (store.get_blob(SPACE, KEY), store.find_blob(SPACE, KEY)):
        with pytest.raises(NotFound):
            await call
    assert (await put(store, b"other"))[1]
    assert await content_of(store) == b"other"


async def test_another_user_has_other_blobs(backend: Backend) -> None:
    store, other = await backend.state(), await backend.state()
    await put(store, b"mine")
    with pytest.raises(NotFound):
        await other.get_blob(SPACE, KEY)
    await other.delete_blob(SPACE, KEY)
    assert (await put(other, b"theirs"))[1]
    assert await content_of(store) == b"mine"
