// What people do with a client in TypeScript, each as they would write it: no cast, no `any`.
import createClient from "openapi-fetch";
import type { components, paths } from "./threadkeep.js";

declare const process: { argv: string[]; exitCode?: number };
const [, , baseUrl, key] = process.argv;
const client = createClient<paths>({
  baseUrl,
  headers: { Authorization: `Bearer ${key}`, "X-User-Id": "typescript" },
});

type Conversation = components["schemas"]["Conversation"];
type Block = components["schemas"]["Block"];
type NewMessage = components["schemas"]["NewMessage"];

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

async function created(body: components["schemas"]["NewConversation"] = {}): Promise<Conversation> {
  const { data, error } = await client.POST("/api/conversations", { body });
  if (error) throw new Error(error.error.message);
  return data;
}

function text(block: Block): string {
  switch (block.type) {
    case "text":
      return block.text.trim();
    case "thinking":
      return block.thinking;
    case "tool_use":
      return `${block.name}(${Object.keys(block.input).join()})`;
    default:
      return "";
  }
}

const snippets = {
  async "create an empty conversation"() {
    const { data, response } = await client.POST("/api/conversations", { body: {} });
    check(data?.messageCount === 0 && response.status === 201, "it is empty");
  },

  async "create with messages, a title and metadata"() {
    const conversation = await created({
      title: "Weather",
      metadata: { project: "p1", pinned: true, tags: ["a", "b"] },
      messages: [
        { role: "system", content: [{ type: "text", text: "Be brief." }] },
        { role: "user", content: [{ type: "text", text: "Will it rain?" }] },
      ],
    });
    check(conversation.metadata.project === "p1" && conversation.messageCount === 2, "all of it is there");
  },

  async "append a message"() {
    const { id } = await created();
    const { data } = await client.POST("/api/conversations/{id}/messages", {
      params: { path: { id } },
      body: { role: "user", content: [{ type: "text", text: "Hello" }], model: "claude", tokenCount: 2 },
    });
    check(data?.messages[0]?.seq === 1, "it is the first");
  },

  async "append several messages together, if nobody else has"() {
    const { id } = await created();
    const messages: NewMessage[] = [
      { role: "user", content: [{ type: "text", text: "Hello" }] },
      { role: "assistant", content: [{ type: "text", text: "Hi" }] },
    ];
    const params = { path: { id } };
    await client.POST("/api/conversations/{id}/messages", { params, body: { messages, expectedMessageCount: 0 } });
    const { error } = await client.POST("/api/conversations/{id}/messages", {
      params,
      body: { messages, expectedMessageCount: 0 },
    });
    check(error?.error.code === "stale" && error.error.details?.messageCount === 2, "it is stale");
  },

  async "call a tool and keep what it returned"() {
    const { id } = await created();
    await client.POST("/api/conversations/{id}/messages", {
      params: { path: { id } },
      body: {
        messages: [
          {
            role: "assistant",
            content: [
              { type: "thinking", thinking: "Look it up.", signature: "c2ln" },
              { type: "tool_use", id: "t1", name: "weather", input: { city: "Oslo", days: 3 } },
            ],
          },
          { role: "tool", content: [{ type: "tool_result", toolUseId: "t1", content: { degrees: 4 } }] },
        ],
      },
    });
    const { data } = await client.GET("/api/conversations/{id}/messages", { params: { path: { id } } });
    const blocks = data?.messages.flatMap((message) => message.content) ?? [];
    const call = blocks.find((block) => block.type === "tool_use");
    check(call?.name === "weather" && call.input.city === "Oslo", "the call came back");
    const result = blocks.find((block) => block.type === "tool_result");
    check(JSON.stringify(result?.content) === '{"degrees":4}', "so did the result");
  },

  async "narrow blocks by their type"() {
    const { id } = await created({
      messages: [
        {
          role: "assistant",
          content: [
            { type: "text", text: " Rain. ", citations: [{ url: "https://weather.example" }] },
            { type: "image", source: { type: "url", url: "https://weather.example/map.png" } },
            { type: "tool_use", id: "t2", name: "radar", input: { zoom: 3 } },
          ],
        },
      ],
    });
    const { data } = await client.GET("/api/conversations/{id}/messages", { params: { path: { id } } });
    check(data?.messages[0]?.content.map(text).join("|") === "Rain.||radar(zoom)", "each is what it is");
  },

  async "keep parts of the AI SDK as they are"() {
    const { id } = await created({
      messages: [
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Think." },
            { type: "tool-weather", toolCallId: "c1", state: "output-available", input: {}, output: { sky: "grey" } },
          ],
        },
      ],
    });
    const { data } = await client.GET("/api/conversations/{id}/messages", { params: { path: { id } } });
    for (const block of data?.messages[0]?.content ?? []) {
      if (block.type === "reasoning") check(block.text === "Think.", "the reasoning came back");
      else check(block.type.startsWith("tool-"), "so did the tool");
    }
  },

  async "send a message that was read again"() {
    const { id } = await created({ messages: [{ role: "user", content: [{ type: "text", text: "Once" }] }] });
    const { data } = await client.GET("/api/conversations/{id}/messages", { params: { path: { id } } });
    const [message] = data?.messages ?? [];
    check(message !== undefined, "it is there");
    const { response } = await client.POST("/api/conversations/{id}/messages", {
      params: { path: { id } },
      body: { id: message.id, role: message.role, content: message.content },
    });
    check(response.status === 200, "it is known already");
  },

  async "page through messages, the newest first"() {
    const messages = [1, 2, 3, 4, 5].map(
      (number): NewMessage => ({ role: "user", content: [{ type: "text", text: `Number ${number}` }] }),
    );
    const { id } = await created({ messages });
    const seqs: number[] = [];
    let cursor: string | undefined;
    do {
      const { data, error } = await client.GET("/api/conversations/{id}/messages", {
        params: { path: { id }, query: { limit: 2, cursor } },
      });
      if (error) throw new Error(error.error.message);
      seqs.unshift(...data.messages.map((message) => message.seq));
      cursor = data.nextCursor ?? undefined;
    } while (cursor);
    check(seqs.join() === "1,2,3,4,5", "each is there once");
  },

  async "read what came after a message"() {
    const { id } = await created({ messages: [{ role: "user", content: [{ type: "text", text: "First" }] }] });
    const { data } = await client.GET("/api/conversations/{id}/messages", {
      params: { path: { id }, query: { after: 1 } },
    });
    check(data?.messages.length === 0 && data.nextCursor === null, "nothing did");
  },

  async "list conversations"() {
    const { data } = await client.GET("/api/conversations");
    const titles = data?.conversations.map((conversation) => conversation.title.toUpperCase());
    check(titles?.includes("WEATHER") === true, "it is listed");
  },

  async "archive a conversation, and list what is archived"() {
    const { id } = await created();
    await client.PATCH("/api/conversations/{id}", { params: { path: { id } }, body: { isArchived: true } });
    const { data } = await client.GET("/api/conversations", { params: { query: { archived: true, limit: 100 } } });
    check(data?.conversations.some((conversation) => conversation.id === id) === true, "it is archived");
  },

  async "search"() {
    await created({ messages: [{ role: "user", content: [{ type: "text", text: "About endofunctors" }] }] });
    const { data } = await client.GET("/api/conversations/search", {
      params: { query: { q: "endofunctors", role: "user" } },
    });
    const marked = data?.hits[0]?.snippet.map((part) => (part.match ? `<b>${part.text}</b>` : part.text)).join("");
    check(marked === "About <b>endofunctors</b>", "the match is marked");
  },

  async "merge metadata, and remove a part of it"() {
    const { id } = await created({ metadata: { project: "p1", draft: true } });
    const { data } = await client.PATCH("/api/conversations/{id}", {
      params: { path: { id } },
      body: { metadata: { draft: null, color: "red" } },
    });
    check(JSON.stringify(data?.metadata) === '{"project":"p1","color":"red"}', "it is merged");
  },

  async "look at an error by its code"() {
    const { error, response } = await client.GET("/api/conversations/{id}", {
      params: { path: { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" } },
    });
    check(response.status === 404, "there is none");
    switch (error?.error.code) {
      case "not_found":
        return;
      case "unavailable":
        throw new Error("try again");
      default:
        throw new Error(error?.error.message);
    }
  },

  async "look at the details of an error"() {
    const { error } = await client.GET("/api/conversations/search", { params: { query: { q: "a", from: 2, to: 1 } } });
    check(error?.error.details?.path === "to", "it is the end");
    const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    await created({ messages: [{ id, role: "user", content: [{ type: "text", text: "One" }] }] });
    const other = await client.POST("/api/conversations", {
      body: { messages: [{ id, role: "user", content: [{ type: "text", text: "Another" }] }] },
    });
    check(other.error?.error.details?.ids?.includes(id) === true, "it is taken");
  },

  async "edit only what has been seen, by If-Match"() {
    const { id } = await created();
    const { response } = await client.GET("/api/conversations/{id}", { params: { path: { id } } });
    const etag = response.headers.get("ETag") ?? undefined;
    const params = { path: { id }, header: { "If-Match": etag } };
    const first = await client.PATCH("/api/conversations/{id}", { params, body: { title: "Mine" } });
    check(first.data?.title === "Mine", "it is edited");
    const { error } = await client.PATCH("/api/conversations/{id}", { params, body: { title: "Late" } });
    check(error?.error.details?.conversation?.title === "Mine", "it has changed");
  },

  async "vote for an answer"() {
    const { id } = await created({ messages: [{ role: "assistant", content: "A monoid." }] });
    const { data: page } = await client.GET("/api/conversations/{id}/messages", { params: { path: { id } } });
    const path = { id, mid: page?.messages[0]?.id ?? "" };
    const params = { path, header: { "If-Match": '"1"' } };
    const body = { metadata: { vote: "up" } };
    const { data } = await client.PATCH("/api/conversations/{id}/messages/{mid}", { params, body });
    check(data?.metadata?.vote === "up" && data.version === 2, "it is there");
    const { error } = await client.PATCH("/api/conversations/{id}/messages/{mid}", { params, body });
    check(error?.error.details?.message?.version === 2, "it has changed");
    const { data: kept } = await client.GET("/api/conversations/{id}/messages/{mid}", { params: { path } });
    check(kept?.metadata?.vote === "up", "it is kept");
  },

  async "delete and restore"() {
    const { id } = await created({ title: "Undo" });
    const params = { path: { id } };
    const deleted = await client.DELETE("/api/conversations/{id}", { params });
    check(deleted.response.status === 204 && deleted.error === undefined, "it is deleted");
    const { data } = await client.POST("/api/conversations/{id}/restore", { params });
    check(data?.title === "Undo" && data.deletedAt === null, "it is back");
  },

  async "follow the changes"() {
    const start = await client.GET("/api/conversations/changes");
    const { id } = await created();
    await client.DELETE("/api/conversations/{id}", { params: { path: { id } } });
    const { data } = await client.GET("/api/conversations/changes", { params: { query: { since: start.data?.next } } });
    const held = new Map<string, Conversation>();
    for (const change of data?.conversations ?? []) {
      if ("title" in change) held.set(change.id, change);
      else held.delete(change.id);
    }
    check(!held.has(id) && data?.hasMore === false, "it came and went");
  },

  async "put a conversation under an id of one's own each time it has grown"() {
    const path = { id: "chat_7f3c9a52-0b1e" };
    const messages: NewMessage[] = [{ id: "msg-1", role: "user", content: [{ type: "text", text: "Hi" }] }];
    const first = await client.PUT("/api/conversations/{id}", { params: { path }, body: { title: "A chat", messages } });
    check(first.response.status === 201 && first.data?.conversation.title === "A chat", "it is created");
    messages.push({ id: "msg-2", role: "assistant", content: [{ type: "text", text: "Hello" }] });
    const { data } = await client.PUT("/api/conversations/{id}", { params: { path }, body: { messages } });
    check(data?.messages[1]?.seq === 2 && data.conversation.messageCount === 2, "what is new is appended");
    await client.DELETE("/api/conversations/{id}", { params: { path } });
    const { error } = await client.PUT("/api/conversations/{id}", { params: { path }, body: { messages } });
    check(error?.error.code === "conflict" && error.error.details?.reason === "deleted", "it is deleted");
  },

  async "export a conversation, and import it"() {
    const { id } = await created({
      title: "Kept",
      messages: [{ role: "user", content: [{ type: "text", text: "Keep this" }] }],
    });
    const { data: document } = await client.GET("/api/conversations/{id}/export", { params: { path: { id } } });
    check(document?.conversation.messages[0]?.role === "user", "it is whole");
    const { data: report } = await client.POST("/api/import", { body: document });
    check(report?.imported[0]?.title === "Kept", "it is imported");
  },

  async "export everything as text, and import it as NDJSON"() {
    const { data: lines } = await client.GET("/api/export", { parseAs: "text" });
    check(lines !== undefined && lines.trim().split("\n").length > 10, "there are lines");
    const { data: report } = await client.POST("/api/import", {
      body: lines + '{"version": 2}\n',
      bodySerializer: (body) => body,
      headers: { "Content-Type": "application/x-ndjson" },
      params: { header: { "Idempotency-Key": "moved" } },
    });
    check(report !== undefined && report.imported.length > 10, "they are imported");
    check(report.skipped[0]?.error.code === "invalid", "but for the one that is wrong");
  },

  async "keep a session of an agent, and read it back"() {
    const path = { space: "sessions", key: 'agent/"one"' };
    const put = await client.PUT("/api/journals/{space}/{key}", {
      params: { path, header: { "Idempotency-Key": "put-1" } },
      body: { head: { leaf: null }, status: "open" },
    });
    check(put.response.status === 201 && put.data?.version === 1, "it is new");
    const body = { entries: [{ id: "1", data: { text: "Hello" } }, { data: [1, null] }], head: { leaf: "1" } };
    for (const status of [201, 200]) {
      const params = { path, header: { "Idempotency-Key": "append-1" } };
      const appended = await client.POST("/api/journals/{space}/{key}/entries", { params, body });
      check(appended.response.status === status && appended.data?.last === 1, "it is appended once");
    }
    const { data: page } = await client.GET("/api/journals/{space}/{key}/entries", {
      params: { path, query: { head: true } },
    });
    check(JSON.stringify(page?.entries.map((entry) => entry.data)) === '[{"text":"Hello"},[1,null]]', "all is there");
    check(JSON.stringify(page?.journal.head) === '{"leaf":"1"}', "with its head");
    const { data: listed } = await client.GET("/api/journals/{space}", {
      params: { path: { space: "sessions" }, query: { status: "open" } },
    });
    check(listed?.journals[0]?.key === path.key && listed.nextCursor === null, "it is listed");
  },

  async "write to a journal only as it was seen"() {
    const path = { space: "runs", key: "1" };
    await client.PUT("/api/journals/{space}/{key}", { params: { path }, body: { mode: "replace" } });
    const { data } = await client.PATCH("/api/journals/{space}/{key}", {
      params: { path, header: { "If-Match": '"1"' } },
      body: { status: "done" },
    });
    check(data?.status === "done", "it is edited");
    const late = await client.POST("/api/journals/{space}/{key}/entries", {
      params: { path },
      body: { expected: 1, close: true },
    });
    const details = late.error?.error.details;
    check(details?.reason === "stale" && details.version === 2, "it has changed");
    await client.DELETE("/api/journals/{space}/{key}", { params: { path } });
    const { error } = await client.GET("/api/journals/{space}/{key}", { params: { path } });
    check(error?.error.code === "not_found", "it is gone");
  },

  async "ask whether the server is up"() {
    const { data } = await client.GET("/api/health");
    check(data?.status === "ok" && data.store === "sqlite", "it is");
  },

  async "delete everything"() {
    const refused = await client.DELETE("/api/me", { params: { query: { confirm: "somebody" } } });
    check(refused.error?.error.details?.path === "confirm", "not for somebody else");
    const { data } = await client.DELETE("/api/me", { params: { query: { confirm: "typescript" } } });
    check(data?.isComplete === true && data.conversations > 20, "all of it is gone");
  },
};

for (const [name, snippet] of Object.entries(snippets)) {
  await snippet();
  console.log(name);
}
