"""Says which variables nobody else may see: nothing shows them, and they stand in no file that is committed."""

import re

from tools.settings import declared_settings

_IS_NAME_OF_SECRET = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)?KEYS?(_|$)"
    r"|(DATABASE|POSTGRES|PRISMA)_UR[IL]$|(^|_)DSN$",
    re.IGNORECASE,
)
_HAS_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@]*:[^/\s@]+@", re.IGNORECASE)  # a URL
_PRIVACY = {name: setting.privacy for setting in declared_settings().values() for name in setting.names}


def may_be_secret(name: str, value: object) -> bool:
    """Whether nobody may see a variable: as its setting says, or by its name, or by a password in its value."""
    is_private = _PRIVACY[name] != "public" if name in _PRIVACY else looks_secret(name)
    return is_private or bool(_HAS_PASSWORD.search(str(value)))


def looks_secret(name: str) -> bool:
    """Whether a name is such as people give to secrets."""
    return bool(_IS_NAME_OF_SECRET.search(name))
