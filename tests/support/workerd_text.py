"""What workerd has of the Python Workers runtime in it, as text: its own modules, in JavaScript and Python."""

import re
import struct
from functools import cache

from tools.local.runtime import workerd

_BUNDLE = b"src/pyodide/pyodide_static.capnp:pyodideBundle\0"
_WORDS_EACH = 5  # the kinds, and pointers to name, contents, declarations and one more
_NEAR = 4096  # bytes, between the name of the bundle and its list of modules


@cache
def modules() -> dict[str, bytes]:
    """The modules of the runtime in the workerd that is installed, by name.

    They are a list of structs in a message of Cap'n Proto, as in tools.local.pyodide_bundle.
    """
    binary = workerd().read_bytes()
    start = binary.index(_BUNDLE)
    for at in range(start, start + _NEAR, 8):
        count, data_words, pointers = struct.unpack_from("<iHH", binary, at)
        if (data_words, pointers, count & 3) == (1, 4, 0) and _blob(binary, at + 16).startswith(b"pyodide"):
            elements = range(at + 8, at + 8 + (count >> 2) * 8 * _WORDS_EACH, 8 * _WORDS_EACH)
            return {_blob(binary, each + 8)[:-1].decode(): _blob(binary, each + 16) for each in elements}
    raise LookupError("this workerd keeps the modules of its Python runtime in another way")


def releases() -> set[str]:
    """The versions of Pyodide of whose bundles workerd knows."""
    constants = modules()["pyodide-internal:const"].decode()
    return set(re.findall(r"'([0-9.a-z]+)'", constants))


def _blob(binary: bytes, pointer: int) -> bytes:
    low, high = struct.unpack_from("<iI", binary, pointer)
    at = pointer + 8 + (low >> 2) * 8
    return binary[at : at + (high >> 3)] if low & 3 == 1 else b""
