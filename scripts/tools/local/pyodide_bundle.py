"""Makes the Pyodide bundle that workerd runs Python Workers on, out of the Pyodide that npm carries.

workerd has the whole Python Workers runtime in it, but for Pyodide itself, which it downloads as a bundle from a host
of its own. With the compatibility flag `python_workers_development` it takes a bundle from a folder instead, and asks
for no checksum. npm carries the same Pyodide, so the bundle can be made wherever npm is reached.

What the runtime expects of a bundle is in workerd as text; `docs/decisions/0008-local-runtime.md` says what of that is
imitated here, and a test fails when workerd carries another text.
"""

import struct
from pathlib import Path
from typing import NamedTuple

from tools.checkout import Problem

FLAG = "python_workers_development"
NAME = "pyodide_dev.capnp.bin"
"""What workerd calls the bundle of that flag in its folder."""

# What Emscripten's glue does by itself, and what it does in the runtime: by functions of its module `builtin_wrappers`
# and of the `Module` object, some of which a deploy's snapshot depends on. Each with how often it is there.
_PATCHES = (
    ("async function _createPyodideModule", "export async function _createPyodideModule", 1),
    ("new WebAssembly.Module(", "newWasmModule(", 4),
    ("await WebAssembly.instantiate(", "await wasmInstantiate(", 2),
    ("Date.now", "monotonicDateNow", 22),
    ("crypto.getRandomValues(", "getRandomValues(Module,", 1),
    ("alignMemory(getMemory(", "alignMemory(Module.getMemoryPatched(Module,libName,", 1),
    ("Function.prototype.apply.apply(func,[this_,args])", "patchedApplyFunc(API,func,this_,args)", 1),
    (
        "function loadLibData(){",
        "function loadLibData(){return patchedLoadLibData(Module,libName,flags.rpath);",
        1,
    ),
)
_WRAPPERS = (
    "addEventListener",
    "getRandomValues",
    "location",
    "monotonicDateNow",
    "newWasmModule",
    "patchedApplyFunc",
    "patchedLoadLibData",
    "wasmInstantiate",
)

_INTERNAL = 2  # a module that only the runtime's own modules can import
_SOURCE, _WASM, _DATA = 0, 1, 2  # what the contents of a module are


class _Module(NamedTuple):
    name: str
    contents_are: int
    contents: bytes


def make(pyodide: Path) -> bytes:
    """Returns the bundle of the Pyodide in this folder. Raises a Problem where it is another than is known here."""
    return _encoded(
        [
            _Module("pyodideRuntime-internal:pyodide.asm", _SOURCE, _patched(pyodide / "pyodide.asm.mjs")),
            _Module("pyodideRuntime-internal:pyodide.asm.wasm", _WASM, (pyodide / "pyodide.asm.wasm").read_bytes()),
            _Module("pyodideRuntime-internal:python_stdlib.zip", _DATA, (pyodide / "python_stdlib.zip").read_bytes()),
        ]
    )


def _patched(glue: Path) -> bytes:
    text = glue.read_text()
    for old, new, count in _PATCHES:
        if text.count(old) != count:
            raise Problem(f"{glue} has {text.count(old)} times {old!r}, and not {count}: it is of another Pyodide")
        text = text.replace(old, new)
    return f'import {{ {", ".join(_WRAPPERS)} }} from "pyodide-internal:builtin_wrappers";\n{text}'.encode()


# A bundle is a message of Cap'n Proto: a `Bundle`, with the list `modules` of `Module`, by workerd's modules.capnp. It
# is made of words of eight bytes, and a pointer counts words from its own end. Source: capnproto.org/encoding.html.


def _encoded(modules: list[_Module]) -> bytes:
    words_each = 5  # the kinds, and pointers to name, contents, declarations and one more
    elements_at = 24  # behind the pointers to the bundle and to its list, and the word that says what is in the list
    blobs_at = elements_at + 8 * words_each * len(modules)
    elements = blobs = b""
    for module in modules:
        elements += struct.pack("<HHI", _INTERNAL, module.contents_are, 0)
        for blob in (module.name.encode() + b"\0", module.contents):
            distance = (blobs_at + len(blobs) - elements_at - len(elements) - 8) // 8
            elements += struct.pack("<iI", distance << 2 | 1, len(blob) << 3 | 2)
            blobs += blob + b"\0" * (-len(blob) % 8)
        elements += b"\0" * 16
    bundle = _struct(pointers=1) + struct.pack("<iI", 1, words_each * len(modules) << 3 | 7)
    return _message(bundle + struct.pack("<iHH", len(modules) << 2, 1, 4) + elements + blobs)


def _struct(*, pointers: int) -> bytes:
    """A pointer to a struct right behind it."""
    return struct.pack("<iHH", 0, 0, pointers)


def _message(segment: bytes) -> bytes:
    return struct.pack("<II", 0, len(segment) // 8) + segment
