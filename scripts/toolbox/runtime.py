"""Lays out what workerd runs locally: Pyodide, the Worker's packages, and the project's own Python.

The parts that are the same for every Worker are built once, and again only when something that they are made
from has changed. `scripts/toolbox/runtime/` holds what is not Python of ours, or not run by this Python.
"""

import io
import json
import shutil
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolbox.checkout import ROOT, files_below, fingerprint, local_folder, locked, remove, say
from toolbox.install import Node, node_packages, worker_packages
from toolbox.processes import run

PARTS = Path(__file__).parent / "runtime"
COPIED_FROM_PYODIDE = {  # the names are those that wrangler's rules know as JavaScript, WebAssembly and text
    "pyodide.mjs": "pyodide.mjs",
    "pyodide.asm.mjs": "pyodide.asm.mjs",
    "pyodide.asm.wasm": "pyodide.asm.wasm",
    "pyodide-lock.json": "pyodide-lock.txt",
}
COPIED_FROM_HERE = {"prelude.mjs": "prelude.mjs", "worker.mjs": "worker.mjs", "host.py": "host.txt"}

OF_SERVERS = (
    "threadkeep/server",
    "threadkeep/asgi.py",
    "threadkeep/sql/sqlite.py",
    "threadkeep/sql/postgres_pool.py",
)
"""What of `src/` only a plain server runs. No Worker has it: no local one, and none that `scripts/deploy` uploads."""

OF_POSTGRES = (
    "threadkeep/sql/postgres.py",
    "threadkeep/sql/postgres_connection.py",
    "threadkeep/sql/postgres_schema.py",
    "threadkeep/sql/postgres_scram.py",
    "threadkeep/sql/postgres_socket.py",
    "threadkeep/sql/postgres_statements.py",
    "threadkeep/sql/postgres_url.py",
    "threadkeep/sql/postgres_wire.py",
)
"""What only a Worker has that keeps conversations in Postgres."""


def not_shipped(*, has_postgres: bool) -> tuple[str, ...]:
    """What of `src/` a Worker does not have: files and folders."""
    return OF_SERVERS if has_postgres else OF_SERVERS + OF_POSTGRES


def lay_out(
    out: Path,
    node: Node,
    *,
    classes: Iterable[str],
    main: str,
    sources: Sequence[Path],
    has_postgres: bool = False,
    root: Path = ROOT,
) -> Path:
    """Fills the folder `out` with a JavaScript Worker that runs a Python one; returns its main module.

    `sources` are the folders that Python imports from, `main` is the module in them to start with, and `classes`
    are the Durable Objects that it defines.
    """
    remove(out)
    with locked(local_folder(root) / "runtime.lock", "waiting for another build in this checkout …"):
        shutil.copytree(_common_parts(root, node), out)
    (out / "source.bin").write_bytes(_zipped(sources, without=not_shipped(has_postgres=has_postgres)))
    (out / "project.mjs").write_text(f"export const entry = {json.dumps(main)};\n")
    main_module = out / "main.mjs"
    exports = [f'export const {name} = durableObject("{name}");\n' for name in classes]
    main_module.write_text(
        'import { durableObject } from "./worker.mjs";\nexport { default } from "./worker.mjs";\n' + "".join(exports)
    )
    return main_module


def _common_parts(root: Path, node: Node) -> Path:
    packages, pyodide = worker_packages(root), node_packages(root) / "pyodide"
    made_from = [path for _, path in files_below([PARTS])]
    key = fingerprint(*made_from, packages / ".installed", pyodide / "package.json")[:16]
    folder = local_folder(root) / "runtime"
    built = folder / key
    if not built.exists():
        say("preparing Pyodide for workerd …")
        remove(folder)
        unfinished = folder / "unfinished"
        unfinished.mkdir(parents=True)
        archive = folder / "packages.zip"
        archive.write_bytes(_zipped([packages]))
        command = [node.program, PARTS / "build.mjs", pyodide, archive, unfinished]
        log = local_folder(root) / "logs" / "runtime.log"
        run(command, cwd=root, log=log, failed="could not prepare Pyodide")
        for name, copy in COPIED_FROM_PYODIDE.items():
            shutil.copyfile(pyodide / name, unfinished / copy)
        for name, copy in COPIED_FROM_HERE.items():
            shutil.copyfile(PARTS / name, unfinished / copy)
        unfinished.rename(built)
    return built


def _zipped(folders: Sequence[Path], without: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in files_below(folders):
            if name.startswith(without):
                continue
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return buffer.getvalue()
