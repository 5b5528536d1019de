"""Who is asking: from a request to a user id, or a refusal."""

import hashlib
import hmac
from base64 import urlsafe_b64decode
from typing import Any

import jwt

from threadkeep.errors import Invalid, Unauthenticated
from threadkeep.http.messages import Request
from threadkeep.settings import Settings
from threadkeep.users import check_user_id
from threadkeep.validation import decode

SERVICE_KEY_PREFIX = "tk_"

_LEEWAY_SECONDS = 30
"""How far the clock of whoever signs tokens may be from ours."""


class Authenticator:
    """The ways in that the settings open: service keys, signed tokens and, in development, a fixed user."""

    def __init__(self, settings: Settings) -> None:
        self._service_keys = settings.service_keys
        self._jwt_secret = settings.jwt_secret
        self._development_user = settings.development_user

    def user_of(self, request: Request) -> str:
        """Return the id of the user who asks.

        A service key, `Authorization: Bearer tk_…`, acts for the user in `X-User-Id`.
        A token, `Authorization: Bearer <JWT>`, names its user in `sub`; it is signed by HS256, and it expires.

        Raises Unauthenticated; Invalid for an `X-User-Id` that is not a user id, or for a header that is sent twice.
        """
        authorization, user_id = _single(request, "authorization"), _single(request, "x-user-id")
        if authorization is None:
            return self._without_credentials(user_id)
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send `Authorization: Bearer`, followed by a token or a service key.")
        if token.startswith(SERVICE_KEY_PREFIX):
            return self._user_of_service(token, user_id)
        return self._user_of_token(token)

    def _without_credentials(self, user_id: str | None) -> str:
        if self._development_user is None:
            raise Unauthenticated("Send `Authorization: Bearer`, followed by a token or a service key.")
        if user_id is not None:
            raise Unauthenticated("`X-User-Id` is only for requests with a service key; send a key with it.")
        return self._development_user

    def _user_of_service(self, key: str, user_id: str | None) -> str:
        given = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        # All are compared, each in constant time, so that the time taken tells nothing.
        if not any([hmac.compare_digest(given, known) for known in self._service_keys]):  # noqa: C419
            raise Unauthenticated("This service key is not known here.")
        if user_id is None:
            raise Unauthenticated("A service key acts for a user; name one in `X-User-Id`.")
        if "\ufffd" in user_id:  # what the platform puts for bytes that it cannot read: two users would become one
            raise Invalid("x-user-id: The header is not UTF-8.", "x-user-id")
        try:
            return check_user_id(user_id)
        except Invalid as error:
            raise Invalid(f"x-user-id: {error.message}", "x-user-id") from error

    def _user_of_token(self, token: str) -> str:
        if self._jwt_secret is None:
            raise Unauthenticated("Signed tokens are not accepted here; AUTH_JWT_SECRET is not set.")
        try:
            # PyJWT parses both parts before it looks at the signature, and in encodings that nobody else reads.
            for part in token.split(".")[:2]:
                decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), dict[str, Any])
            claims = jwt.decode(
                token,
                self._jwt_secret,
                algorithms=["HS256"],  # never what the token itself asks for
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub"]},
            )
            _check_claims(claims)
            return check_user_id(claims["sub"])
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired; get a new one.") from error
        except jwt.ImmatureSignatureError as error:
            raise Unauthenticated("The token is not valid yet.") from error
        except jwt.InvalidAudienceError as error:
            raise Unauthenticated("The token has an audience, `aud`, and this server accepts none.") from error
        except (jwt.InvalidTokenError, Invalid, ValueError) as error:
            raise Unauthenticated(
                "The token is not valid: it must be signed by HS256 with the secret of this server, "
                "and have `exp` and, as the user id, `sub`."
            ) from error


_WHY_ONCE = {
    "authorization": "Send `Authorization` once, as `Bearer` and a token or a service key; neither has a comma.",
    "x-user-id": "Send `X-User-Id` once, for one user. A user whose id has a comma comes by a JWT, as its `sub`.",
}


def _single(request: Request, name: str) -> str | None:
    """Return a header that says who asks. Raises Invalid if it was sent twice, since the two may name different users.

    Platforms and proxies join the two by a comma, and nobody behind them can tell that from a comma that was sent.
    """
    value = request.header(name)
    if value is not None and "," in value:
        raise Invalid(f"{name}: {_WHY_ONCE[name]}", name)
    return value


def _check_claims(claims: dict[str, Any]) -> None:
    """Refuse what PyJWT lets pass: an `aud` that is empty, and times that are not numbers, by RFC 7519, 4.1.3 and 2."""
    if "aud" in claims:
        raise jwt.InvalidAudienceError
    if any(type(claims[name]) not in (int, float) for name in ("exp", "nbf", "iat") if name in claims):
        raise jwt.InvalidTokenError
