// Runs and their registry do what Flue's own do, which are in memory.

import { sqlite } from "@flue/runtime/node";
import { expect, test } from "vitest";
import { losing, randomNumbers } from "../../fetches.js";
import { adapter } from "../store.js";

const OPERATIONS = 400;
const RUNS = ["run-a", "run-b", "run/c", 'run "d"', "run-é", "run-6", "run-7", "run-8"];
const WORKFLOWS = ["import", "report", "a b/c"];
const VALUES = [undefined, null, 0, "", "text", { deep: [{ null: null }] }, "x".repeat(150_000), "cut \ud83d"];

/** What a call returns, or that it fails, in a form that can be compared. */
async function outcome(call) {
  try {
    return { returned: (await call()) ?? null };
  } catch (error) {
    return { failed: /duplicate|owner|index|runId/.test(error.message) ? "refused" : error };
  }
}

/** One operation on both, drawn at random. */
function drawn(random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const runId = pick(RUNS);
  const workflowName = WORKFLOWS[RUNS.indexOf(runId) % WORKFLOWS.length];
  const owner = { kind: "workflow", workflowName, instanceId: random() < 0.03 ? "another" : runId };
  const time = new Date(1_780_000_000_000 + Math.floor(random() * 20) * 1_000).toISOString();
  const isError = random() < 0.5;
  const end = { runId, endedAt: time, isError, durationMs: Math.floor(random() * 1_000) };
  const eventIndex = Math.floor(random() * 12) - (random() < 0.02 ? 20 : 0);
  const event = { type: "log", runId: random() < 0.02 ? "another" : runId, eventIndex, value: pick(VALUES) };
  const list = {
    status: pick([undefined, undefined, "active", "completed", "errored"]),
    workflowName: pick([undefined, undefined, ...WORKFLOWS]),
    limit: pick([undefined, 0, 1, 2, 3, 5_000, Number.NaN]),
  };
  const [payload, result, error] = [pick(VALUES), pick(VALUES), pick(VALUES)];
  return pick([
    ({ runs }) => runs.createRun({ runId, owner, startedAt: time, payload }),
    ({ runs }) => runs.endRun({ ...end, result, error }),
    ({ runs }) => runs.appendEvent(runId, event),
    ({ runs }) => runs.appendEvent(runId, event),
    ({ runs }) => runs.appendEvent(runId, event),
    ({ runs }) => runs.getEvents(runId),
    ({ runs }) => runs.getEvents(runId, eventIndex),
    ({ runs }) => runs.getRun(runId),
    ({ registry }) => registry.recordRunStart({ runId, owner: { ...owner, instanceId: runId }, startedAt: time }),
    ({ registry }) => registry.recordRunEnd(end),
    ({ registry }) => registry.lookupRun(runId),
    ({ registry }) => everyPage(registry, list),
  ]);
}

/** All pages of a list, each with whether there was another. */
async function everyPage(registry, list) {
  const pages = [];
  let cursor;
  do {
    const page = await registry.listRuns({ ...list, cursor });
    pages.push(page.runs);
    cursor = page.nextCursor;
  } while (cursor !== undefined && pages.length < 50);
  return pages;
}

async function compared(ours, seed, operations) {
  const own = sqlite();
  const pairs = [
    { runs: ours.connectRunStore(), registry: ours.connectRunRegistry() },
    { runs: own.connectRunStore(), registry: own.connectRunRegistry() },
  ];
  const random = randomNumbers(seed);
  const answers = { returned: 0, failed: 0 };
  for (let number = 0; number < operations; number += 1) {
    const operation = drawn(random);
    const [found, wanted] = await Promise.all(pairs.map((stores) => outcome(() => operation(stores))));
    expect(found, `operation ${number}`).toEqual(wanted);
    answers["failed" in found ? "failed" : "returned"] += 1;
  }
  return answers;
}

test(`${OPERATIONS} operations have the same outcomes`, async () => {
  const answers = await compared(adapter(), 1, OPERATIONS);
  expect(answers.failed).toBeGreaterThan(5);
  expect(answers.returned).toBeGreaterThan(OPERATIONS / 2);
});

test("they have them as well where every third answer is lost", async () => {
  const fetch = losing();
  await compared(adapter({ fetch }), 2, 60);
  expect(fetch.lost).toBeGreaterThan(15);
});

test("a list goes on where it ended, and misses nothing of one workflow among many", async () => {
  const registry = adapter().connectRunRegistry();
  for (let number = 0; number < 25; number += 1) {
    const runId = `run-${String(number).padStart(2, "0")}`;
    const owner = { kind: "workflow", workflowName: number % 5 ? "many" : "few", instanceId: runId };
    await registry.recordRunStart({ runId, owner, startedAt: "2026-06-03T00:00:00.000Z" });
  }
  const pages = await everyPage(registry, { workflowName: "few", limit: 2 });
  expect(pages.map((page) => page.map((run) => run.runId))).toEqual([["run-20", "run-15"], ["run-10", "run-05"], ["run-00"]]);
});
