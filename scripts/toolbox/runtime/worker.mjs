// Runs a Python Worker on npm's Pyodide inside workerd. Stands in for the bundle that workerd would download:
// the same Pyodide, the same `workers` package, the same bindings, the same rules for what may be done at import.
import "./prelude.mjs";
import * as cloudflareSockets from "cloudflare:sockets";
import * as cloudflareWorkers from "cloudflare:workers";
import hostSource from "./host.txt";
import { entry } from "./project.mjs";
import createPyodideModule from "./pyodide.asm.mjs";
import lockFileContents from "./pyodide-lock.txt";
import { loadPyodide } from "./pyodide.mjs";
import packages from "./python_modules.bin";
import stdlib from "./python_stdlib.bin";
import source from "./source.bin";

const host = await start();

async function start() {
  const host = await withoutAnEventLoop(startPython);
  const refusal = importEntry(host);
  if (refusal) throw new Error(`cannot import ${entry}.py:\n${refusal}`);
  return host;
}

// Here workerd itself allows no timers, no I/O and no entropy, as at a deploy.
function importEntry(host) {
  try {
    return host.import_entry(entry);
  } catch (error) {
    return error.message; // so deep in the interpreter that Python cannot catch it
  }
}

async function startPython() {
  const nowhere = "https://pyodide.invalid/";
  const pyodide = await loadPyodide({
    indexURL: nowhere,
    packageBaseUrl: nowhere,
    stdLibURL: `${nowhere}python_stdlib.zip`,
    lockFileContents,
    createPyodideModule,
    env: { PYTHONHASHSEED: "111" }, // as in production
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
  });
  await pyodide._api.initializeNodeSockFS(cloudflareSockets.connect);
  // What the `workers` package asks its runtime for.
  pyodide.registerJsModule("_pyodide_entrypoint_helper", {
    cloudflareWorkersModule: cloudflareWorkers,
    cloudflareSocketsModule: cloudflareSockets,
    doAnImport: (name) => import(name),
    patchWaitUntil: letWaitUntilKeepItsAwaitable,
  });
  pyodide.registerJsModule("_cloudflare_compat_flags", {
    python_request_headers_preserve_commas: true,
    python_workflows_implicit_dependencies: true,
  });
  pyodide.unpackArchive(packages, "zip", { extractDir: "/session/python_modules" });
  pyodide.unpackArchive(source, "zip", { extractDir: "/session/src" });
  pyodide.FS.writeFile("/session/local_runtime.py", hostSource);
  pyodide.runPython("import sys; sys.path[:0] = ['/session/python_modules', '/session/src', '/session']");
  return pyodide.pyimport("local_runtime");
}

// The interpreter's own start wants what workerd gives only to requests: timers, its files over HTTP, and entropy for
// the seed of `random` (a constant here; host.py draws another later).
async function withoutAnEventLoop(work) {
  const { fetch, setTimeout } = globalThis;
  const { getRandomValues } = crypto;
  globalThis.setTimeout = (callback) => queueMicrotask(callback);
  globalThis.fetch = async () => ({ ok: true, arrayBuffer: async () => stdlib });
  crypto.getRandomValues = (array) => array.fill(4);
  try {
    return await work();
  } finally {
    Object.assign(globalThis, { fetch, setTimeout });
    crypto.getRandomValues = getRandomValues;
  }
}

// Python's awaitables are on loan for the length of a call; `waitUntil` needs its own for longer.
function letWaitUntilKeepItsAwaitable(context) {
  const waitUntil = context.waitUntil.bind(context);
  context.waitUntil = (awaitable) => {
    const kept = awaitable?.copy?.() ?? awaitable;
    waitUntil(Promise.resolve(kept).finally(() => kept?.destroy?.()));
  };
}

// Calls into Python so that it can wait with `run_sync`, which sockets do. An exception shows Python's traceback alone,
// without the interpreter's own frames.
async function call(name, ...parameters) {
  try {
    return await host[name].callPromising(...parameters);
  } catch ({ name, message }) {
    const error = new Error(message);
    throw Object.assign(error, { name, stack: `${name}: ${message}` });
  }
}

export default class extends cloudflareWorkers.WorkerEntrypoint {
  async fetch(request) {
    return call("fetch", await call("create", "Default", this.ctx, this.env), request);
  }
  async scheduled(controller) {
    return call("scheduled", await call("create", "Default", this.ctx, this.env), controller);
  }
}

export function durableObject(name) {
  return class extends cloudflareWorkers.DurableObject {
    #object;
    constructor(ctx, env) {
      super(ctx, env);
      ctx.blockConcurrencyWhile(async () => {
        this.#object = await call("create", name, ctx, env);
      });
    }
    fetch(request) {
      return call("fetch", this.#object, request);
    }
    alarm(info) {
      return call("alarm", this.#object, info);
    }
  };
}
