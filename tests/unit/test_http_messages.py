"""What is read from headers and addresses, and the one shape of every error."""

import json
from collections.abc import Iterator

import pytest

import threadkeep.client
import threadkeep.http.api  # noqa: F401 all that may define an error
from threadkeep.errors import Invalid, Stale, ThreadkeepError, TooLarge
from threadkeep.http.messages import BODY_BYTES_MAX, bookmark_in, etag, json_response, query_fields, version_in
from threadkeep.http.problems import STATUS, body_too_large, error_response


def kinds(kind: type[ThreadkeepError] = ThreadkeepError) -> Iterator[type[ThreadkeepError]]:
    for child in kind.__subclasses__():
        yield child
        yield from kinds(child)


KINDS = [kind for kind in kinds() if kind.__module__.startswith("threadkeep.") and "code" in vars(kind)]


def test_every_error_has_a_code_and_a_status_of_its_own() -> None:
    assert sorted(kind.code for kind in KINDS) == sorted(STATUS)
    assert len(set(STATUS.values())) == len(STATUS)
    assert all(400 <= status < 600 for status in STATUS.values())
    assert STATUS["not_found"] == 404
    assert STATUS["conflict"] == 409
    assert STATUS["stale"] == 412


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_one_shape(kind: type[ThreadkeepError]) -> None:
    details = {"allow": ["GET", "HEAD"]}
    error = kind("Do something else.", details=details)
    response = error_response(error)
    assert response.status == STATUS[kind.code]
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.body) == {
        "error": {"code": kind.code, "message": "Do something else.", "details": details}
    }


def test_an_error_without_details_has_none() -> None:
    assert json.loads(error_response(Stale("No.")).body) == {"error": {"code": "stale", "message": "No."}}


@pytest.mark.parametrize(
    ("codes", "header", "value"),
    [
        ("unauthenticated", "www-authenticate", "Bearer"),
        ("method_not_allowed", "allow", "GET, HEAD"),
        ("unsupported_media_type", "accept-encoding", "identity"),
        ("rate_limited, unavailable", "retry-after", "1"),
    ],
)
def test_an_error_brings_the_headers_of_its_status_and_no_other(codes: str, header: str, value: str) -> None:
    details = {"allow": ["GET", "HEAD"], "acceptEncoding": ["identity"]}
    for kind in KINDS:
        headers = error_response(kind("No.", details=details)).headers
        assert headers.get(header) == (value if kind.code in codes.split(", ") else None)


def test_an_answer_is_json_with_the_headers_it_is_given() -> None:
    response = json_response(201, {"a": "\u00e9"}, {"etag": '"1"'})
    assert response.status == 201
    assert json.loads(response.body) == {"a": "\u00e9"}
    assert response.headers == {"content-type": "application/json", "etag": '"1"'}


def test_a_body_that_is_too_large_is_told_the_limit() -> None:
    error = body_too_large()
    assert isinstance(error, TooLarge)
    assert str(BODY_BYTES_MAX) in error.message
    assert BODY_BYTES_MAX == 8_388_608


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=x+y%20z", {"a": "x y z"}),
        ("a=%2B%26%3D", {"a": "+&="}),
        ("%61=1", {"a": "1"}),
        ("q=%F0%9F%98%80", {"q": "\U0001f600"}),
        ("a=%zz", {"a": "%zz"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("&a=1&&", {"a": "1"}),
        ("&".join(f"a{number}=" for number in range(20)), {f"a{number}": "" for number in range(20)}),
    ],
)
def test_a_query_string_is_read_into_fields(query: str, fields: dict[str, str]) -> None:
    assert query_fields(query) == fields


@pytest.mark.parametrize("query", ["a=1&a=1", "a=1&b=2&a=3", "a&a", "a=1&%61=2"])
def test_a_field_may_be_there_once(query: str) -> None:
    with pytest.raises(Invalid, match="is there twice; send it once"):
        query_fields(query)


@pytest.mark.parametrize("query", ["a=%ff", "%C3=1", "a=%ED%A0%80", "&".join(f"a{number}=" for number in range(21))])
def test_a_query_string_that_is_malformed_is_refused(query: str) -> None:
    with pytest.raises(Invalid, match="must be UTF-8, percent-encoded, with at most 20 parameters") as raised:
        query_fields(query)
    assert raised.value.path == "query"


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, None),
        ("*", None),
        ('"1"', 1),
        ('W/"1"', 1),
        ('"0"', 0),
        ('W/"0"', 0),
        ('W/"42"', 42),
        ('"999999999999999"', 999_999_999_999_999),
    ],
)
def test_if_match_names_a_version(header: str | None, version: int | None) -> None:
    assert version_in(header) == version


@pytest.mark.parametrize(
    "header",
    [
        "",
        "1",
        '"1',
        '1"',
        '""',
        '"a"',
        '"-1"',
        '"1.0"',
        '" 1"',
        '"1" ',
        '"1"\n',
        'w/"1"',
        '"1", "2"',
        "'1'",
        '"\u0661"',
        '"\u00b2"',
        '"1000000000000000"',
        '"00"',
        '"01"',
        'W/"007"',
        "W/1",
        'W/ "1"',
        'W/W/"1"',
        "**",
    ],
)
def test_an_if_match_that_names_no_version_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as raised:
        version_in(header)
    assert raised.value.path == "if-match"


@pytest.mark.parametrize("version", [1, 42, 10**14])
def test_an_etag_comes_back_as_if_match(version: int) -> None:
    assert version_in(etag(version)) == version


BOOKMARK = "00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683"


def test_a_bookmark_goes_on_as_it_came() -> None:
    assert bookmark_in(BOOKMARK) == BOOKMARK
    assert bookmark_in(None) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        BOOKMARK.upper(),
        BOOKMARK[:-1],
        f"{BOOKMARK}0",
        f"{BOOKMARK}\n",
        f" {BOOKMARK}",
        "first-primary",
        "x" * 59,
    ],
)
def test_a_bookmark_that_d1_did_not_make_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as raised:
        bookmark_in(header)
    assert raised.value.path == "x-d1-bookmark"
