"""Run by build.mjs inside Pyodide: loads the extension modules, and compiles all Python ahead of time.

The bytecode is marked as never to be checked against its source: nobody edits what is in the build.
"""

import importlib
import py_compile
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

TEMPORARY = Path("/tmp")  # noqa: S108 - of an interpreter that nobody else is in
PACKAGES = Path("/session/python_modules")


def main() -> None:
    """Writes two archives for build.mjs to take."""
    sys.path.insert(0, str(PACKAGES))
    for path in PACKAGES.rglob("*.so"):
        package = path.relative_to(PACKAGES).parent
        importlib.import_module(".".join([*package.parts, path.name.split(".")[0]]))
    pack_packages(TEMPORARY / "python_modules.zip")
    pack_standard_library(TEMPORARY / "python_stdlib.zip")


def pack_packages(target: Path) -> None:
    """The packages with their bytecode where Python looks for it in a folder."""
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for path in sorted(PACKAGES.rglob("*")):
            name = path.relative_to(PACKAGES)
            if path.is_dir() or "__pycache__" in name.parts:
                continue
            archive.writestr(str(name), path.read_bytes())
            if path.suffix == ".py":
                bytecode = name.parent / "__pycache__" / f"{name.stem}.{sys.implementation.cache_tag}.pyc"
                archive.writestr(str(bytecode), compiled(path, shown_as=str(path)))


def pack_standard_library(target: Path) -> None:
    """The standard library with its bytecode where Python looks for it in an archive: beside the source."""
    source = TEMPORARY / "module.py"
    with ZipFile(TEMPORARY / "stdlib.zip") as original, ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name in original.namelist():
            archive.writestr(name, original.read(name))
            if name.endswith(".py"):
                source.write_bytes(original.read(name))
                archive.writestr(f"{name}c", compiled(source, shown_as=name))


def compiled(source: Path, *, shown_as: str) -> bytes:
    """The bytecode of a module."""
    target = TEMPORARY / "module.pyc"
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), str(target), dfile=shown_as, doraise=True, invalidation_mode=unchecked)
    return target.read_bytes()


main()
