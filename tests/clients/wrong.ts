// What must not compile: each line that is wrong ends with the error of the compiler that says so.
import createClient from "openapi-fetch";
import type { components, paths } from "./threadkeep.js";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1" });
const content = [{ type: "text", text: "Hello" }];
const params = { path: { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" } };

await client.POST("/api/conversation", { body: {} }); // TS2345
// An unknown field on the first level of a body that is written into the call passes openapi-fetch; the server refuses it.
const conversation: components["schemas"]["NewConversation"] = { name: "Title" }; // TS2353
const message: components["schemas"]["NewMessage"] = { role: "user", contents: content, content }; // TS2561
const changes: components["schemas"]["ConversationChanges"] = { archived: true }; // TS2561
await client.POST("/api/conversations", { body: { title: 3 } }); // TS2322
await client.POST("/api/conversations", { body: { messages: [{ role: "robot", content }] } }); // TS2322
await client.POST("/api/conversations", { body: { messages: [{ role: "user" }] } }); // TS2322
await client.POST("/api/conversations", { body: { messages: [{ role: "user", contents: content, content }] } }); // TS2561
await client.POST("/api/conversations/{id}/messages", { params, body: { role: "user", content: [{ text: "?" }] } }); // TS2322
await client.POST("/api/conversations/{id}/messages", { body: { role: "user", content } }); // TS2345
await client.PATCH("/api/conversations/{id}", { params, body: { isArchived: "yes" } }); // TS2322
await client.GET("/api/conversations", { params: { query: { limit: "20" } } }); // TS2322
await client.GET("/api/conversations/search", { params: { query: { role: "user" } } }); // TS2741
await client.GET("/api/conversations/search"); // TS2554

const { data, error } = await client.GET("/api/conversations/{id}", { params });
if (error?.error.code === "missing") throw new Error(); // TS2367
console.log(data?.name); // TS2339

function words(block: components["schemas"]["Block"]): string {
  return block.type === "tool_use" ? block.text : ""; // TS2322
}
words({ type: "text", text: "Hello", seq: 1 });
words({ type: "text" }); // TS2345
