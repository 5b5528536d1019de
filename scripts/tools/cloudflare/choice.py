"""Asks the Worker's own code which back end it would choose. For a Python that has msgspec, in a process of its own.

Standard input is a list of questions in JSON, standard output the list of answers.
"""

import json
import sys
from typing import Any

from threadkeep.errors import Unavailable
from threadkeep.settings import Settings
from threadkeep.storage.backends import choose

OFFERED = ("d1", "durable-object", "postgres", "memory", "local")
"""The back ends that can run on Workers, as src/threadkeep/worker/environment.py has them."""


def answer(variables: dict[str, str], bindings: list[str]) -> dict[str, Any]:
    """What the Worker would do with these variables and bindings, or the `error` with which it would refuse."""
    try:
        settings = Settings.read(variables.get)
        warnings = list(settings.warnings)
        choice = choose(settings, bindings, OFFERED)
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
        "persistence": settings.persistence,
        "signIn": [name for name, value in ways_in.items() if value],
    }


if __name__ == "__main__":
    json.dump([answer(**question) for question in json.load(sys.stdin)], sys.stdout)
