"""SCRAM-SHA-256: shows Postgres that a password is known, without sending it, and has it show the same.

Source: RFC 5802 and RFC 7677. scramp, which pg8000 uses, derives the key in Python where there is no OpenSSL, as in
Pyodide: 0.1 s for each connection. Here whoever calls derives it, with what the platform has.
"""

import hmac
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256

DeriveKey = Callable[[bytes, bytes, int], Awaitable[bytes]]
"""PBKDF2 with HMAC-SHA-256, of 32 bytes: from a password, a salt and a number of iterations."""

ITERATIONS_MAX = 100_000
"""As many as Workers derive. Postgres asks for 4,096, unless `scram_iterations` says otherwise."""

_HEADER = "n,,"  # no channel binding, and nobody else's name


class ScramFailed(Exception):
    """The server asks for what cannot be, or does not know the password itself."""


class Scram:
    """One conversation. `nonce` is random, and never used again."""

    def __init__(self, password: str, nonce: str, derive_key: DeriveKey) -> None:
        self._password = _normalized(password)
        self._nonce = nonce
        self._derive_key = derive_key
        self._signature = b""
        self.first = f"{_HEADER}n=,r={nonce}".encode()
        """What the client says first. The user's name is in what began the connection."""

    async def final(self, challenge: bytes) -> bytes:
        """What the client says last, to what the server said first."""
        nonce, salt, iterations = self._read(challenge)
        salted = await self._derive_key(self._password, salt, iterations)
        without_proof = f"c={b64encode(_HEADER.encode()).decode()},r={nonce}"
        said = b",".join([self.first.removeprefix(_HEADER.encode()), challenge, without_proof.encode()])
        client_key = _hmac(salted, b"Client Key")
        mask = _hmac(sha256(client_key).digest(), said)
        proof = bytes(left ^ right for left, right in zip(client_key, mask, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), said)
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def check(self, outcome: bytes) -> None:
        """Raises ScramFailed where the server has not shown that it knows the password, too."""
        if not hmac.compare_digest(outcome, b"v=" + b64encode(self._signature)):
            raise ScramFailed("the server does not show that it knows the password")

    def _read(self, challenge: bytes) -> tuple[str, bytes, int]:
        try:
            fields = dict(field.split("=", 1) for field in challenge.decode().split(","))
            nonce, salt, iterations = fields["r"], b64decode(fields["s"], validate=True), int(fields["i"])
        except (ValueError, KeyError) as error:
            raise ScramFailed("the server's challenge is malformed") from error
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not 0 < iterations <= ITERATIONS_MAX:
            raise ScramFailed("the server's challenge is not one to answer")
        return nonce, salt, iterations


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, sha256).digest()


def _normalized(password: str) -> bytes:
    """The password as SASLprep (RFC 4013) has it. What that forbids, Postgres takes as it is, and so do we."""
    if password.isascii():
        return password.encode()
    mapped = (
        " " if stringprep.in_table_c12(letter) else letter for letter in password if not stringprep.in_table_b1(letter)
    )
    return unicodedata.normalize("NFKC", "".join(mapped)).encode()
