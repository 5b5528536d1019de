// node build.mjs PYODIDE PACKAGES OUT: prepares what workerd cannot do for itself when it runs Pyodide.
// workerd compiles no WebAssembly from bytes. So the same packages are loaded here once, where that is allowed, and
// every module that gets compiled on the way is kept as a file: extension modules, and Emscripten's call wrappers.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodideFolder, packages, out] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(pyodideFolder, "pyodide.mjs")));

const compiled = new Map();
WebAssembly.Module = new Proxy(WebAssembly.Module, {
  construct(Module, [source]) {
    const bytes = ArrayBuffer.isView(source)
      ? Buffer.from(source.buffer, source.byteOffset, source.byteLength)
      : Buffer.from(source);
    compiled.set(createHash("sha256").update(bytes).digest("hex"), Buffer.from(bytes));
    return new Module(source);
  },
});

const pyodide = await loadPyodide({ indexURL: `${pyodideFolder}/`, env: { PYTHONHASHSEED: "111" } });
pyodide.unpackArchive(new Uint8Array(readFileSync(packages)), "zip", { extractDir: "/session/python_modules" });
pyodide.FS.writeFile("/tmp/stdlib.zip", new Uint8Array(readFileSync(join(pyodideFolder, "python_stdlib.zip"))));
pyodide.runPython(readFileSync(join(import.meta.dirname, "build.py"), "utf8"));
for (const name of ["python_modules", "python_stdlib"])
  writeFileSync(join(out, `${name}.bin`), pyodide.FS.readFile(`/tmp/${name}.zip`));

mkdirSync(join(out, "wasm"));
const names = [...compiled.keys()];
for (const name of names) writeFileSync(join(out, "wasm", `${name}.wasm`), compiled.get(name));
writeFileSync(
  join(out, "wasm.mjs"),
  names.map((name, index) => `import module${index} from "./wasm/${name}.wasm";\n`).join("") +
    `export const modules = new Map([${names.map((name, index) => `["${name}", module${index}]`).join(", ")}]);\n`,
);
