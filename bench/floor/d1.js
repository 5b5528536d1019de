// The floor: runs the statements that it is sent, in one batch, with no service around them.

export default {
  async fetch(request, env) {
    if (request.method === "GET") return Response.json({ status: "ok" });
    const statements = await request.json();
    const session = env.CONVERSATIONS_D1.withSession("first-primary");
    const prepared = statements.map(([sql, ...parameters]) => session.prepare(sql).bind(...parameters));
    const results = await session.batch(prepared);
    return new Response(results.flatMap(({ results }) => results.map(({ answer }) => answer)).join("\n"));
  },
};
