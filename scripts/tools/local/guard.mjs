// node --import guard.mjs PROGRAM: the program ends when whoever started it does, even by SIGKILL.
// Its standard input is a pipe that nobody writes to. When it closes, the whole process group goes.
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  process.stdin.on("end", () => process.kill(0, "SIGKILL")).resume();
  process.stdin.unref();
}
