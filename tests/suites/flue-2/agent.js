// An agent on Flue's own runtime, with a provider that follows a script: `node agent.js begin ID FOLDER`, which is
// killed in the middle of a tool, and `node agent.js resume ID FOLDER`, which says what came of it.

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fauxAssistantMessage, fauxProvider, fauxToolCall } from "@earendil-works/pi-ai/providers/faux";
import { defineTool, init, useModel, useTool } from "@flue/runtime";
import { start } from "@flue/runtime/node";
import { threadkeep } from "threadkeep/flue";

const [, , what, id, folder] = process.argv;
/** Flue renews every 10 seconds. */
const leaseMs = 11_000;

const provider = fauxProvider();
const ANSWERS = Array.from({ length: 10 }, () => (context) => {
  appendFileSync(join(folder, "calls"), `${what}\n`);
  const isDone = context.messages.some((message) => message.role === "toolResult");
  return fauxAssistantMessage(isDone ? "All three steps are done." : [fauxToolCall("build", {})], {
    stopReason: isDone ? "stop" : "toolUse",
  });
});
provider.setResponses(ANSWERS);

const build = defineTool({
  name: "build",
  description: "Builds it, in three steps.",
  durable: true,
  async run({ step }) {
    const done = [];
    for (const name of ["first", "second", "third"]) {
      done.push(
        await step.do(name, async () => {
          appendFileSync(join(folder, "steps"), `${what} ${name}\n`);
          if (what === "begin" && name === "second") {
            console.log("in the middle");
            await new Promise(() => {});
          }
          return `${name} by ${what}`;
        }),
      );
    }
    return { output: done };
  },
});

function Builder() {
  useModel(`${provider.getModel().provider}/${provider.getModel().id}`);
  useTool(build);
  return "Build what you are asked for.";
}

const db = threadkeep({ leaseMs });
const flue = await start({ agents: [Builder], db, providers: [provider.provider] });
const agent = init(Builder, { id });
const note = join(folder, "receipt");
if (what === "begin") writeFileSync(note, JSON.stringify(await agent.dispatch("Build it.")));
const reply = await agent.read(JSON.parse(readFileSync(note, "utf8")));
console.log(JSON.stringify({ text: reply.text }));
await flue.stop();
