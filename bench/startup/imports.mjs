// imports.mjs PYODIDE PACKAGES SOURCE: imports the Worker in Pyodide as npm has it, outside of workerd, whose clock
// stands still while a Worker is imported. Prints [{"module", "own", "whole"}, …] in milliseconds.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, packages, source] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: folder, env: { PYTHONHASHSEED: "111" } });

// What the `workers` package asks its runtime for: classes to inherit from, and nothing that is called here.
const anything = new Proxy(class {}, { get: (target, name) => (name in target ? target[name] : class {}) });
pyodide.registerJsModule("_pyodide_entrypoint_helper", {
  cloudflareWorkersModule: anything,
  cloudflareSocketsModule: anything,
  doAnImport: (name) => import(name),
  patchWaitUntil() {},
});
pyodide.registerJsModule("_cloudflare_compat_flags", {});

// As local_runtime lays them out: one archive after another, and both before the standard library.
pyodide.FS.mkdirTree("/session");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: packages }, mount("/session/python_modules"));
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: source }, mount("/session/src"));
copy("/session/python_modules", "/tmp/python_modules");
copy("/session/src", "/tmp/src");
pyodide.runPython("import sys; sys.dont_write_bytecode = True; sys.path[:0] = ['/tmp/python_modules', '/tmp/src']");
const script = readFileSync(new URL("./imports.py", import.meta.url), "utf8");
console.log(pyodide.runPython(script));

function mount(path) {
  pyodide.FS.mkdirTree(path);
  return path;
}

// Into memory, where the Worker has its files.
function copy(from, to) {
  pyodide.globals.set("pair", [from, to]);
  pyodide.runPython("import shutil; shutil.copytree(*pair.to_py(), ignore=shutil.ignore_patterns('__pycache__'))");
}
