"""What is read of the state that agents keep, to see whose each row is."""

from threadkeep.storage.sql.columns import BLOB, ENTRY, JOURNAL, LANE, TASK, THREAD, Column
from threadkeep.storage.sql.statements.threads import KINDS


# Whatever bears a user; not by its place in the database, nor that of what it belongs to.
def _columns(alias: str, columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{alias}.{column.name}" for column in columns)


OF_AGENTS = {
    "journals": f"SELECT j.user_id, j.deleted_at, {_columns('j', JOURNAL)} FROM {{schema}}journals AS j",
    "entries": f"""
SELECT e.user_id, j.user_id AS j_of, j.space, j.key, j.incarnation, {_columns("e", ENTRY)}
FROM {{schema}}entries AS e LEFT JOIN {{schema}}journals AS j ON j.n = e.journal
""",
    "pieces": "SELECT p.* FROM {schema}pieces AS p",
    "blobs": f"SELECT b.user_id, b.deleted_at, {_columns('b', BLOB)} FROM {{schema}}blobs AS b",
    "tasks": f"SELECT t.user_id, t.deleted_at, {_columns('t', TASK)} FROM {{schema}}tasks AS t",
    "lanes": f"SELECT l.user_id, l.deleted_at, {_columns('l', LANE)} FROM {{schema}}lanes AS l",
    "threads": f"SELECT t.user_id, t.deleted_at, {_columns('t', THREAD)} FROM {{schema}}threads AS t",
    **{
        table: f"""
SELECT c.user_id, t.user_id AS t_of, t.name, t.deleted_at, t.stamp, {_columns("c", columns)}
FROM {{schema}}{table} AS c LEFT JOIN {{schema}}threads AS t ON t.n = c.thread
"""
        for table, columns in KINDS.items()
    },
}
"""What reads all of each table, by its name, in a schema."""
