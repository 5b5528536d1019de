"""A project of a few lines, to run instead of ours."""

from pathlib import Path

import pytest

WRANGLER = """\
name = "small"
main = "src/entry.py"
compatibility_date = "2026-11-01"
compatibility_flags = ["python_workers"]

[vars]
GREETING = "hello"

[[durable_objects.bindings]]
name = "NOTES"
class_name = "Notes"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["Notes"]
"""

ENTRY = '''\
"""Keeps lines of text: at /object/NAME in a Durable Object, at /d1 in D1."""

import asyncio
import random
import time

from workers import DurableObject, Response, WorkerEntrypoint


class Notes(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS note (body TEXT)")

    async def fetch(self, request):
        if request.method == "POST":
            self.sql.exec("INSERT INTO note VALUES (?)", await request.text())
        if request.method == "PUT":
            await self.ctx.storage.setAlarm(int(time.time() * 1000))
        return Response.json([row.body for row in self.sql.exec("SELECT body FROM note").toArray()])

    async def alarm(self):
        self.sql.exec("INSERT INTO note VALUES (?)", f"alarm of {self.ctx.id.name}")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("/", 3)[3]
        if path == "d1":
            if request.method == "POST":
                await self.env.CONVERSATIONS_D1.prepare("INSERT INTO note VALUES (?)").bind(await request.text()).run()
            rows = await self.env.CONVERSATIONS_D1.prepare("SELECT body FROM note").all()
            return Response.json([row.body for row in rows.results])
        if path.startswith("object/"):
            return await self.notes(path).fetch(request)
        if path == "later":
            self.ctx.waitUntil(self.write_later())
            return Response("soon")
        if path == "mistake":
            raise ValueError("a mistake in a request")
        names = ("GREETING", "ENVIRONMENT", "AUTH_DEV_USER", "AUTH_SERVICE_KEYS", "AGENT_CONVERSATION_STORE")
        variables = {name: getattr(self.env, name, None) for name in names}
        return Response.json({**variables, "random": random.random()})

    async def scheduled(self, controller, env, ctx):
        await self.notes("object/scheduled").fetch("http://object/", method="POST", body=controller.cron)

    def notes(self, path):
        return self.env.NOTES.getByName(path.removeprefix("object/"))

    async def write_later(self):
        await asyncio.sleep(0.05)
        await self.notes("object/later").fetch("http://object/", method="POST", body="written later")
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "migrations/sqlite").mkdir(parents=True)
    (folder / "wrangler.toml").write_text(WRANGLER)
    (folder / "src/entry.py").write_text(ENTRY)
    (folder / "migrations/sqlite/0001_note.sql").write_text("CREATE TABLE note (body TEXT);\n")
    return folder
