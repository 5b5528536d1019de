"""Runs a Python Worker on the Python Workers runtime itself: the one in workerd, with the Pyodide that npm carries.

A folder is laid out as wrangler wants it, a deploy's snapshot is made of it, and workerd is started from that snapshot.
What is the same for every Worker is made once, and again only when something that it is made from has changed.
"""

import os
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from threadkeep.storage.backends import ships
from tools.checkout import ROOT, Problem, files_below, fingerprint, local_folder, locked, remove, say
from tools.local import pyodide_bundle
from tools.local.install import node_packages, worker_packages

SNAPSHOT = "snapshot.bin"
"""What workerd calls the snapshot in its folder."""
_SNAPSHOTS_MAX = 24  # of 31 MB each; the tests make some ten
_DATABASES_MAX = 4

_NOT_FOR_WORKERS = tuple(
    f"threadkeep/{part}" for part in ("server/", "cli/", "client/", "adapters/", "conformance/", "asgi.py")
)  # what of `src/` only a server or a client runs


def lay_out(folder: Path, sources: Sequence[Path], stores: Collection[str]) -> Path:
    """Fills `folder` with what wrangler uploads: `src/`, out of the folders `sources`, and `python_modules/`.

    wrangler takes whatever Python it finds there, and a Worker has no use for some of it: `stores` are the back ends
    that it can use. Returns `src/`. wrangler looks for python_modules/ beside its configuration, and nowhere else.
    """
    out = folder / "src"
    remove(out)
    for name, path in files_below(sources):
        if not name.startswith(_NOT_FOR_WORKERS) and ships(name, stores):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / name)
    packages = folder / "python_modules"
    packages.unlink(missing_ok=True)
    packages.symlink_to(worker_packages())
    return out


def prepare(root: Path = ROOT) -> Path:
    """Makes the Pyodide bundle where it is missing, and returns the folder in which workerd looks for it."""
    pyodide = node_packages(root) / "pyodide"
    key = fingerprint(Path(pyodide_bundle.__file__), pyodide / "package.json")[:16]
    folder = local_folder(root) / "runtime"
    built = folder / f"bundle-{key}"
    if built.exists():  # and nobody waits for whoever makes something else
        return built
    with locked(local_folder(root) / "runtime.lock", "waiting for another build in this checkout …"):
        if not built.exists():
            say("making the Pyodide bundle …")
            remove(folder)  # snapshots are of a bundle
            unfinished = folder / "unfinished"
            unfinished.mkdir(parents=True)
            (unfinished / pyodide_bundle.NAME).write_bytes(pyodide_bundle.make(pyodide))
            unfinished.rename(built)
    return built


def snapshot(bundle: Path, laid_out: Path, configuration: Mapping[str, Any], save: Callable[[Path], None]) -> Path:
    """Returns the folder with the snapshot of what is laid out, which `save` puts into an empty folder where it is new.

    It is what a deploy makes when it has imported the Worker. Cloudflare starts every Worker from one.
    """
    files = [part for pair in files_below([laid_out]) for part in pair]
    told = [
        Path(configuration["main"]).name,
        configuration.get("compatibility_date", ""),
        *configuration["compatibility_flags"],
    ]
    key = fingerprint(*told, workerd().parents[1] / "package.json", worker_packages() / ".installed", *files)[:16]
    folder = bundle.parent / f"snapshot-{bundle.name}-{key}"
    return _made_once(folder, save, most=_SNAPSHOTS_MAX)


def new_database(key: str, migrate: Callable[[Path], None]) -> Path:
    """Returns a folder with the files of a new D1 database, which `migrate` puts into an empty folder the first time.

    `key` stands for all that it is made from. Copying it takes no time, and wrangler takes seconds to migrate one.
    """
    return _made_once(local_folder(ROOT) / "runtime" / f"database-{key[:16]}", migrate, most=_DATABASES_MAX)


def _made_once(folder: Path, make: Callable[[Path], None], *, most: int) -> Path:
    """Returns the folder, which `make` fills where it is missing. Of its kind, the `most` used last are kept."""
    kind = folder.name.partition("-")[0]
    with suppress(FileNotFoundError):
        os.utime(folder)  # it is there, and nobody waits for whoever makes another
        return folder
    with locked(local_folder(ROOT) / "runtime.lock", "waiting for another build in this checkout …"):
        if not folder.exists():
            unfinished = folder.with_name("unfinished")
            remove(unfinished)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
        folder.touch()
        newest_last = sorted(folder.parent.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
        for old in newest_last[:-most]:
            remove(old)
    return folder


def write_program(path: Path, bundle: Path, *options: str) -> None:
    """Writes the program that wrangler runs: workerd, with options that wrangler does not know of."""
    options = (f"--pyodide-bundle-disk-cache-dir={bundle}", *options)
    command = " ".join(shlex.quote(str(word)) for word in (workerd(), "serve", *options))
    path.write_text(f'#!/bin/sh\nshift # "serve"\nexec {command} "$@"\n')
    path.chmod(0o755)


def workerd(root: Path = ROOT) -> Path:
    """The workerd that npm has installed for this machine."""
    found = list((node_packages(root) / "@cloudflare").glob("workerd-*/bin/workerd"))
    if len(found) != 1:
        raise Problem(f"there is no workerd for this machine: remove {node_packages(root)}, and run this again")
    return found[0]
