"""Asks the Worker's own code which back end it would choose. For a Python that has msgspec, in a process of its own.

Standard input is a list of questions in JSON, standard output the list of answers.
"""

import json
import sys
from typing import Any

from msgspec.structs import replace

from threadkeep.errors import Unavailable
from threadkeep.settings import NAMES, Settings
from threadkeep.storage.backends import AUTO, choose, named

_NOT_SEEN = "set, perhaps, where it is not seen"


def answer(variables: dict[str, str], bindings: list[str]) -> dict[str, Any]:
    """What the Worker would do with these variables and bindings, or the `error` with which it would refuse."""
    try:
        settings = Settings.read(variables.get)
        warnings = list(settings.warnings)
        secret = _secret(settings)
        if secret is not None:
            settings = replace(settings, **{secret: _NOT_SEEN})
        choice = choose(settings, bindings, "worker")
    except Unavailable as error:
        return {"error": error.message}
    ways_in = {
        "AUTH_JWT_SECRET": settings.jwt_secret,
        "AUTH_SERVICE_KEYS": settings.service_keys,
        "AUTH_DEV_USER": settings.development_user,
    }
    return {
        "store": choice.store,
        "reason": choice.reason,
        "warnings": warnings,
        "secret": NAMES[secret][0] if secret is not None else None,
        "persistence": settings.persistence,
        "signIn": [name for name, value in ways_in.items() if value],
    }


def _secret(settings: Settings) -> str | None:
    """The setting that is not seen, and without which the back end that is asked for by name cannot be reached.

    It may be a secret of the Worker's, and then only Cloudflare knows it.
    """
    backend = None if settings.store == AUTO else named(settings.store)
    if backend is None or backend.setting is None or "worker" not in backend.runs_on:
        return None
    return backend.setting if getattr(settings, backend.setting) is None else None


if __name__ == "__main__":
    json.dump([answer(**question) for question in json.load(sys.stdin)], sys.stdout)
