// What has to hold before Pyodide's own modules are evaluated. Imported first.
import { createHash } from "node:crypto";
import { modules } from "./wasm.mjs";
import pyodideModule from "./pyodide.asm.wasm";

// Pyodide looks for a Node behind `process`, and for its own address behind `location`.
globalThis.process = undefined;
globalThis.location ??= new URL("https://pyodide.invalid/");

// With a MessageChannel, Pyodide would run the callbacks of all requests in one turn, in the context of whichever
// request came first, and workerd forbids the others their I/O there. Timers keep each to its own request.
globalThis.MessageChannel = undefined;
const { setTimeout } = globalThis;
globalThis.setTimeout = (callback, milliseconds, ...parameters) =>
  milliseconds || parameters.length ? setTimeout(callback, milliseconds, ...parameters) : (queueMicrotask(callback), 0);

// WebAssembly that was compiled ahead stands in for compilation: build.mjs has kept it, by the hash of its bytes.
// All of it happens at once, since no event loop turns while a Worker starts.
const { Instance, Module } = WebAssembly;

function lookUp(source) {
  if (source instanceof Module) return source;
  const bytes = ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source);
  const module = modules.get(createHash("sha256").update(bytes).digest("hex"));
  if (!module) throw new WebAssembly.CompileError(`build.mjs has not seen this module of ${bytes.length} bytes`);
  return module;
}

WebAssembly.Module = new Proxy(Module, { construct: (_, [source]) => lookUp(source) });
WebAssembly.compile = async (source) => lookUp(source);
WebAssembly.instantiate = async (source, imports) => {
  const instance = new Instance(lookUp(source), imports);
  return source instanceof Module ? instance : { module: lookUp(source), instance };
};
WebAssembly.instantiateStreaming = async (_, imports) => ({ module: pyodideModule, instance: new Instance(pyodideModule, imports) });
