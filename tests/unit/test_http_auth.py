"""Who is asking: the ways in, and everything that is not one."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest

from support.in_process import no_stream
from threadkeep.errors import Invalid, Unauthenticated
from threadkeep.http.auth import Authenticator
from threadkeep.http.messages import Request
from threadkeep.settings import Settings

SECRET = "a secret of the tests, of 32 characters or more"
KEY, OTHER_KEY = "tk_one", "tk_other"
VARIABLES = {
    "AUTH_JWT_SECRET": SECRET,
    "AUTH_SERVICE_KEYS": ",".join(hashlib.sha256(key.encode()).hexdigest() for key in (KEY, OTHER_KEY)),
}
DEVELOPMENT = {"ENVIRONMENT": "development", "AUTH_DEV_USER": "dev"}


def user_of(headers: dict[str, str], variables: dict[str, str] = VARIABLES) -> str:
    async def no_body() -> bytes:
        raise AssertionError("a body is never looked at")

    request = Request("GET", "/api/conversations", "", headers.get, no_body, no_stream)
    return Authenticator(Settings.read(variables.get)).user_of(request)


def refusal(headers: dict[str, str], variables: dict[str, str] = VARIABLES) -> str:
    with pytest.raises(Unauthenticated) as raised:
        user_of(headers, variables)
    assert SECRET not in raised.value.message
    return raised.value.message


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", **{name.replace("_", "-"): value for name, value in more.items()}}


def claims(**changes: Any) -> dict[str, Any]:
    made = {"sub": "ada", "exp": int(time.time()) + 86_400, **changes}
    return {name: value for name, value in made.items() if value is not ...}  # `...` leaves it out


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(
    header: bytes | dict[str, Any], payload: bytes | dict[str, Any], secret: str = SECRET, method: str = "sha256"
) -> str:
    """A token that is signed by HMAC, whatever it says of itself."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(map(encoded, parts))
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), method))}"


HS256 = {"alg": "HS256", "typ": "JWT"}
NO_CREDENTIALS = "Send `Authorization: Bearer`, followed by a token or a service key."


# Service keys


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
@pytest.mark.parametrize("user_id", ["ada", "a b", "auth0|1", "\u00e9", "x" * 255, "tk_one"])
def test_a_service_key_acts_for_the_user_it_names(key: str, user_id: str) -> None:
    assert user_of(bearer(key, x_user_id=user_id)) == user_id


@pytest.mark.parametrize("key", ["tk_", "tk_One", "tk_one.", "tk_\u00e9", "tk_\ud800", "tk_" + "x" * 10_000], ids=ascii)
def test_a_service_key_that_nobody_made_is_refused(key: str) -> None:
    assert refusal(bearer(key, x_user_id="ada")) == "This service key is not known here."


def test_the_digest_of_a_service_key_is_no_service_key() -> None:
    digest = VARIABLES["AUTH_SERVICE_KEYS"].partition(",")[0]
    assert "not valid" in refusal(bearer(digest, x_user_id="ada"))
    assert "not known" in refusal(bearer(f"tk_{digest}", x_user_id="ada"))


def test_without_service_keys_none_is_known() -> None:
    assert "not known" in refusal(bearer(KEY, x_user_id="ada"), {"AUTH_JWT_SECRET": SECRET})


def test_a_service_key_must_name_a_user() -> None:
    assert "name one in `X-User-Id`" in refusal(bearer(KEY))


@pytest.mark.parametrize("user_id", ["", " ada", "ada ", "a\tb", "x" * 256, "a\x7f", "\u00a0ada"], ids=ascii)
def test_a_service_key_must_name_what_may_be_a_user(user_id: str) -> None:
    with pytest.raises(Invalid) as raised:
        user_of(bearer(KEY, x_user_id=user_id))
    assert raised.value.path == "x-user-id"
    assert raised.value.message.startswith("x-user-id: A user id has 1 to 255 characters")


@pytest.mark.parametrize("user_id", ["\ufffd", "a\ufffda", "ada\ufffd"], ids=ascii)
def test_a_user_whom_the_platform_could_not_read_is_refused(user_id: str) -> None:
    with pytest.raises(Invalid, match=r"^x-user-id: The header is not UTF-8\.$") as raised:
        user_of(bearer(KEY, x_user_id=user_id))
    assert raised.value.path == "x-user-id"
    assert "not known" in refusal(bearer("tk_wrong", x_user_id=user_id))


@pytest.mark.parametrize("name", ["authorization", "x-user-id"])
@pytest.mark.parametrize("joined", ["{0}, {0}", "{0},{0}", ", {0}", "{0}, "])
def test_a_header_that_was_sent_twice_is_refused_whoever_asks(name: str, joined: str) -> None:
    # As a platform, or a proxy, joins the two.
    for headers in (bearer(KEY, x_user_id="ada"), bearer(jwt.encode(claims(), SECRET), x_user_id="ada")):
        with pytest.raises(Invalid, match=f"^{name}: Send .* once") as raised:
            user_of({**headers, name: joined.format(headers[name])})
        assert raised.value.path == name


# Signed tokens


@pytest.mark.parametrize("user_id", ["ada", "auth0|1", "a b", "\u00e9\U0001f600", "x" * 255, "null"])
def test_a_token_names_its_user(user_id: str) -> None:
    assert user_of(bearer(jwt.encode(claims(sub=user_id), SECRET))) == user_id
    assert user_of(bearer(signed(HS256, claims(sub=user_id)))) == user_id


@pytest.mark.parametrize(
    "more",
    [
        {"iat": int(time.time()), "nbf": int(time.time()), "jti": "x", "iss": "https://issuer.example"},
        {"role": "admin", "x": [{"y": None}]},
    ],
    ids=["of the standard", "of its own"],
)
def test_a_token_may_say_more(more: dict[str, Any]) -> None:
    assert user_of(bearer(jwt.encode(claims(**more), SECRET))) == "ada"


def test_the_user_of_a_token_is_its_own_whatever_a_header_says() -> None:
    assert user_of(bearer(jwt.encode(claims(), SECRET), x_user_id="bob")) == "ada"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("space", [" ", "  "])
def test_the_scheme_is_read_in_any_case(scheme: str, space: str) -> None:
    token = jwt.encode(claims(), SECRET)
    assert user_of({"authorization": f"{scheme}{space}{token}"}) == "ada"


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        pytest.param({"exp": -20}, True, id="expired, within the leeway"),
        pytest.param({"exp": -40}, False, id="expired"),
        pytest.param({"nbf": 20}, True, id="not yet, within the leeway"),
        pytest.param({"nbf": 40}, False, id="not yet"),
        pytest.param({"iat": 20}, True, id="issued in the future, within the leeway"),
        pytest.param({"iat": 40}, False, id="issued in the future"),
    ],
)
def test_a_token_is_good_for_its_time_give_or_take_half_a_minute(changes: dict[str, int], accepted: bool) -> None:
    token = jwt.encode(claims(**{name: int(time.time()) + seconds for name, seconds in changes.items()}), SECRET)
    if accepted:
        assert user_of(bearer(token)) == "ada"
    else:
        expected = "The token has expired; get a new one." if "exp" in changes else "The token is not valid yet."
        assert refusal(bearer(token)) == expected


def test_an_expired_token_with_a_wrong_signature_does_not_learn_that_it_expired() -> None:
    assert "not valid" in refusal(bearer(signed(HS256, claims(exp=1), SECRET[::-1])))


FORGED = {
    "nothing but dots": "..",
    "no dots": "ada",
    "two parts": "a.b",
    "four parts": f"{signed(HS256, claims())}.x",
    "beyond ASCII": "\u00e9.\u00e9.\u00e9",
    "half of a character": "\ud800",
    "not signed": jwt.encode(claims(), None, algorithm="none"),
    "not signed, in capitals": f"{signed({'alg': 'NONE'}, claims()).rpartition('.')[0]}.",
    "signature left out": signed(HS256, claims()).rpartition(".")[0] + ".",
    "a signature of others": signed(HS256, claims(), SECRET[::-1]),
    "a signature by nothing": signed(HS256, claims(), ""),
    "other claims than were signed": ".".join(
        [
            signed(HS256, claims()).split(".")[0],
            encoded(json.dumps(claims(sub="bob")).encode()),
            signed(HS256, claims()).split(".")[2],
        ]
    ),
    "HS512": signed({"alg": "HS512"}, claims(), method="sha512"),
    "HS384 by name": signed({"alg": "HS384"}, claims()),
    "RS256 by name": signed({"alg": "RS256"}, claims()),
    "none by name": signed({"alg": "none"}, claims()),
    "hs256 in lower case": signed({"alg": "hs256"}, claims()),
    "no algorithm": signed({"typ": "JWT"}, claims()),
    "an algorithm that is null": signed({"alg": None}, claims()),
    "an algorithm that is a list": signed({"alg": ["HS256"]}, claims()),
    "an algorithm that is an object": signed({"alg": {}}, claims()),
    "a key of its own": signed({"alg": "HS256", "jwk": {"kty": "oct", "k": ""}}, claims(), ""),
    "an extension that must be understood": signed({**HS256, "crit": ["x"], "x": 1}, claims()),
    "a payload elsewhere": signed({**HS256, "b64": False, "crit": ["b64"]}, claims()),
    "a header that is a list": signed(b"[]", claims()),
    "a header that is not JSON": signed(b"{", claims()),
    "a header that is not UTF-8": signed(b"\xff", claims()),
    "a header that is nested without end": signed(b"[" * 20_000, claims()),
    "claims that are a list": signed(HS256, b"[]"),
    "claims that are a text": signed(HS256, b'"ada"'),
    "claims that are not JSON": signed(HS256, b"{"),
    "claims that are nested without end": signed(HS256, b"[" * 20_000),
    "no end": signed(HS256, claims(exp=...)),
    "an end that is null": signed(HS256, claims(exp=None)),
    "an end that is a word": signed(HS256, claims(exp="never")),
    "an end that is a list": signed(HS256, claims(exp=[])),
    "an end that never comes": signed(HS256, b'{"sub":"ada","exp":Infinity}'),
    "an end that is beyond all": signed(HS256, b'{"sub":"ada","exp":1e400}'),
    "an end that is no number": signed(HS256, b'{"sub":"ada","exp":NaN}'),
    "an end of many digits": signed(HS256, b'{"sub":"ada","exp":' + b"9" * 5000 + b"}"),
    "an end as a text": signed(HS256, claims(exp=str(2**33))),
    "an end with an underscore": signed(HS256, claims(exp="9_000_000_000")),
    "an end in other digits": signed(HS256, claims(exp="\u0669" * 10)),
    "an end with spaces": signed(HS256, claims(exp=" 9000000000 ")),
    "a beginning as a text": signed(HS256, claims(nbf="1")),
    "a beginning that is true": signed(HS256, claims(nbf=True)),
    "a beginning that is null": signed(HS256, claims(nbf=None)),
    "an issue as a text": signed(HS256, claims(iat="1")),
    "an issue that is true": signed(HS256, claims(iat=True)),
    "no user": signed(HS256, claims(sub=...)),
    "a user that is null": signed(HS256, claims(sub=None)),
    "a user that is a number": signed(HS256, claims(sub=1)),
    "a user that is true": signed(HS256, claims(sub=True)),
    "a user that is a list": signed(HS256, claims(sub=["ada"])),
    "a user that is nothing": signed(HS256, claims(sub="")),
    "a user with a space before": signed(HS256, claims(sub=" ada")),
    "a user with a space behind": signed(HS256, claims(sub="ada ")),
    "a user with NUL": signed(HS256, claims(sub="ada\x00")),
    "a user with a line break": signed(HS256, claims(sub="a\nb")),
    "a user with half of a character": signed(HS256, claims(sub="ada\ud800")),
    "a user of 256 characters": signed(HS256, claims(sub="x" * 256)),
    "a user of 300 characters": signed(HS256, claims(sub="x" * 300)),
}


@pytest.mark.parametrize("token", [pytest.param(token, id=case) for case, token in FORGED.items()])
def test_a_token_that_is_not_good_is_refused(token: str) -> None:
    assert refusal(bearer(token)).startswith("The token is not valid: it must be signed by HS256")


@pytest.mark.parametrize("audience", ["https://others.example", ["a", "b"], "", [], None])
def test_a_token_for_an_audience_is_refused_since_none_is_set_up(audience: Any) -> None:
    token = signed(HS256, claims(aud=audience))
    assert refusal(bearer(token)) == "The token has an audience, `aud`, and this server accepts none."


@pytest.mark.parametrize(
    "header",
    [b"[" * 5000, b'{"alg":"HS256","a":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"a":' * 5000 + b"1" + b"}" * 5000],
    ids=["lists left open", "lists", "objects"],
)
def test_a_header_that_is_nested_without_end_is_refused_before_anything_recurses_into_it(
    header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a Worker the recursion would not raise an error: it ends the isolate, and nobody needs a key to send this.
    def recurse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("it was read")

    monkeypatch.setattr(jwt, "decode", recurse)
    assert "not valid" in refusal(bearer(signed(header, claims())))


def test_without_a_secret_no_token_is_accepted() -> None:
    for secret in ("", SECRET):
        token = signed(HS256, claims(), secret)
        assert "AUTH_JWT_SECRET is not set" in refusal(bearer(token), {"AUTH_SERVICE_KEYS": "0" * 64})


# Neither


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", KEY, "Bearer\tx", " Bearer x"]
)
def test_credentials_of_another_kind_are_refused(authorization: str) -> None:
    for variables in (VARIABLES, {**VARIABLES, **DEVELOPMENT}):
        assert refusal({"authorization": authorization, "x-user-id": "ada"}, variables) == NO_CREDENTIALS


def test_nobody_gets_in_without_credentials() -> None:
    for variables in ({}, VARIABLES, {"ENVIRONMENT": "development"}):
        assert refusal({}, variables) == NO_CREDENTIALS
        assert refusal({"x-user-id": "ada"}, variables) == NO_CREDENTIALS


def test_the_user_of_a_developers_machine_needs_no_credentials() -> None:
    assert user_of({}, DEVELOPMENT) == "dev"
    assert user_of({}, {**VARIABLES, **DEVELOPMENT}) == "dev"


def test_the_user_of_a_developers_machine_is_nobody_else() -> None:
    assert "`X-User-Id` is only for requests with a service key" in refusal({"x-user-id": "ada"}, DEVELOPMENT)
    assert "not known" in refusal(bearer("tk_wrong", x_user_id="ada"), {**VARIABLES, **DEVELOPMENT})
    assert user_of(bearer(KEY, x_user_id="ada"), {**VARIABLES, **DEVELOPMENT}) == "ada"
    assert user_of(bearer(jwt.encode(claims(), SECRET)), {**VARIABLES, **DEVELOPMENT}) == "ada"
