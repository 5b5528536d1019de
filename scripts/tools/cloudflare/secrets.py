"""Which variables hold what nobody else may see: nothing shows them, and they stand in no file that is committed."""

import re

_IS_NAME_OF_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)?KEYS?(_|$)"
    r"|(DATABASE|POSTGRES|PRISMA)_UR[IL]$|(^|_)DSN$",
    re.IGNORECASE,
)
_HAS_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@]*:[^/\s@]+@", re.IGNORECASE)  # a URL


def may_be_secret(name: str, value: object) -> bool:
    """Whether a variable is a secret, by its name or by a password in its value."""
    return bool(_IS_NAME_OF_SECRET.search(name) or _HAS_PASSWORD.search(str(value)))
