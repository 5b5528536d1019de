// Keeps one conversation stream, with Threadkeep or with Flue's own `sqlite()`, for scripts/bench: `node bench.js NAME
// PLACE`, where a place is a SQLite file, or the URL of a Threadkeep. Takes the jobs that bench/peers/jobs.py describes.

import { createInterface } from "node:readline";
import { sqlite } from "@flue/runtime/node";
import { threadkeep } from "threadkeep/flue";

const [, , name, place] = process.argv;
const IDENTITY = { agentName: "bench", instanceId: "bench" };
const PATH = "agents/bench/bench";

const adapter = name === "sqlite()" ? sqlite(place) : threadkeep({ url: place });
await adapter.migrate();
const { conversationStreamStore: store } = await adapter.connect();
await store.createStream(PATH, IDENTITY);
const { producerId, producerEpoch, incarnation } = await store.acquireProducer(PATH, "bench");
let producerSequence = 0;

/** A turn as a batch of Flue's records. */
const prepared = (turn) =>
  turn.map(({ id, content }) => ({
    v: 1,
    id,
    type: "user_message",
    conversationId: "conversation",
    harness: "default",
    session: "default",
    timestamp: "2026-01-01T00:00:00.000Z",
    messageId: id,
    parentId: null,
    content: content.map((block) => ({ type: "text", text: block.text ?? JSON.stringify(block) })),
  }));

async function append(records) {
  await store.append({ path: PATH, producerId, producerEpoch, incarnation, producerSequence, records });
  producerSequence += 1;
}

/** All of it, in the pages that Flue reads by itself. */
async function load() {
  let batches = 0;
  for (let offset = "-1", ended = false; !ended; ) {
    const page = await store.read(PATH, { offset });
    batches += page.batches.length;
    offset = page.nextOffset;
    ended = page.upToDate;
  }
  if (batches !== producerSequence) throw new Error(`it reads ${batches} batches of ${producerSequence}`);
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { operation, turns, count } = JSON.parse(line);
  const works =
    operation === "load" ? Array(count).fill(load) : turns.map(prepared).map((records) => () => append(records));
  const latencies = [];
  for (const work of works) latencies.push(await timed(work));
  console.log(JSON.stringify(latencies));
}
