"""`scripts/restore`: what it brings back, how it goes on after an interruption, and what it refuses to touch."""

import asyncio
import hashlib
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec import Raw

from support.backups import (
    as_before,
    bring_up_to_date,
    check_index,
    epochs,
    everything,
    exported,
    fill,
    hits,
    new_database,
    reached,
    saved,
    to_keep,
)
from support.records import conversation, new_message
from threadkeep.conformance.helpers import blobs, journals
from threadkeep.conversations import retention
from threadkeep.errors import CursorExpired
from threadkeep.storage.sql.conversations import SqlStore
from threadkeep.storage.sql.marks import mark_of
from threadkeep.storage.sqlite.file import SqliteExecutor
from threadkeep.storage.sqlite.migrations import MIGRATIONS
from tools.checkout import Problem
from tools.d1 import chunks
from tools.d1.backup import back_up
from tools.d1.migrate import Target
from tools.d1.restore import restore
from tools.d1.scratch import BASE, DERIVED
from tools.exit_codes import Code

NEWEST = MIGRATIONS[-1].name
ULID = "01KAGQ3W6ZJ8Y0V4M2T7N5C9X"  # but for its last character


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that the store has filled."""
    file = tmp_path_factory.mktemp("original") / "original.sqlite"
    new_database(file).close()
    fill(file)
    return file


@pytest.fixture(scope="module")
def backup(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    folder = tmp_path_factory.mktemp("backup")
    with closing(apsw.Connection(str(original))) as connection:
        back_up(reached(folder, connection), folder / "letters.backup")
    return folder / "letters.backup"


def test_every_table_is_either_backed_up_or_made_from_what_is() -> None:
    with closing(new_database(":memory:")) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    behind_an_index = {name for name in names if name.startswith(("words_", "search_index_2_"))}
    assert names - behind_an_index == {*BASE, *DERIVED}


def test_all_comes_back_row_by_row_and_is_found(original: Path, backup: Path, tmp_path: Path) -> None:
    target = reached(tmp_path)
    restore(target, backup)
    restored = saved(target, tmp_path / "restored.sqlite")
    assert everything(restored) == to_keep(original)
    check_index(restored)
    for user_id in ("ada", "o'Brien; ö"):
        assert hits(restored, user_id) == hits(original, user_id)
        assert any(page["hits"] for page in hits(restored, user_id))
    assert len(to_keep(original)["messages"]) < len(everything(original)["messages"])  # some were erased


def test_a_large_entry_comes_back_to_the_letter(tmp_path: Path) -> None:
    text = "[\n" + '"é\\\\n漢😀", ' * 50_000 + '"' + "y" * 1_000_000 + '"]'
    with (
        closing(new_database(tmp_path / "old.sqlite")) as connection,
        closing(SqliteExecutor(str(connection.filename))) as old,
    ):
        asyncio.run(journals.append(SqlStore(old, "ada").state, 1, Raw(text.encode()), create=True))
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    target = reached(tmp_path)
    restore(target, tmp_path / "backup")
    with closing(SqliteExecutor(str(saved(target, tmp_path / "restored.sqlite")))) as restored:
        entries = asyncio.run(journals.read_all(SqlStore(restored, "ada").state))
    assert [bytes(entry.data).decode() for entry in entries] == ["1", text]


def test_blobs_come_back_byte_by_byte(tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_345
    with (
        closing(new_database(tmp_path / "old.sqlite")) as connection,
        closing(SqliteExecutor(str(connection.filename))) as old,
    ):
        for key, each in (("large", content), ("empty", b""), ("gone", b"gone")):
            asyncio.run(blobs.put(SqlStore(old, "ada").state, each, key, meta='{"a":1}', media_type="image/png"))
        asyncio.run(SqlStore(old, "ada").state.delete_blob(blobs.SPACE, "gone"))
        kept = asyncio.run(SqlStore(old, "ada").state.get_blob(blobs.SPACE, "large"))
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    assert "Z29uZQ" not in (tmp_path / "backup").read_text()
    target = reached(tmp_path)
    restore(target, tmp_path / "backup")
    with closing(SqliteExecutor(str(saved(target, tmp_path / "restored.sqlite")))) as restored:
        state = SqlStore(restored, "ada").state
        assert asyncio.run(state.get_blob(blobs.SPACE, "large")) == kept == (kept[0], content)
        assert asyncio.run(blobs.content_of(state, "empty")) == b""


def test_nothing_of_what_was_erased_is_in_a_backup(backup: Path) -> None:
    text = backup.read_text()
    assert "gone" not in text
    assert "erased" not in text
    assert "kept though deleted" in text


def test_what_an_erasure_has_left_in_the_file_is_in_no_page_of_the_restored_one(tmp_path: Path) -> None:
    words = {"ada": "unforgettable", "bob": "memorable", "eve": "unforgettable"}

    async def write_and_erase() -> None:
        with closing(SqliteExecutor(str(tmp_path / "old.sqlite"))) as executor:
            for _ in range(50):
                for user_id, word in words.items():
                    record = conversation(new_message(f"{word} " * 20), title=word)
                    await SqlStore(executor, user_id).create_conversation(record)
            await SqlStore(executor, "eve").erase()  # and nobody sweeps
            executor._connection.execute("PRAGMA secure_delete = OFF")
            indexed = "SELECT n FROM messages WHERE user_id = 'ada' UNION SELECT -n FROM conversations"
            executor._connection.execute(f"DELETE FROM search_index_2 WHERE rowid IN ({indexed} WHERE user_id = 'ada')")
            for table in ("messages", "conversations", "owners"):
                executor._connection.execute(f"DELETE FROM {table} WHERE user_id = 'ada'")

    def found(file: Path) -> set[str]:
        written = [word.encode() for word in words.values()]
        indexed = {user_id: (mark_of(user_id) + word).encode() for user_id, word in words.items()}
        content = file.read_bytes()
        return {word.decode() for word in written if word in content} | {
            user_id for user_id, word in indexed.items() if word in content
        }

    new_database(tmp_path / "old.sqlite").close()
    asyncio.run(write_and_erase())
    assert found(tmp_path / "old.sqlite") == {"unforgettable", "memorable", "ada", "bob", "eve"}
    with closing(apsw.Connection(str(tmp_path / "old.sqlite"))) as connection:
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    target = reached(tmp_path)
    restore(target, tmp_path / "backup")
    assert found(saved(target, tmp_path / "restored.sqlite")) == {"memorable", "bob"}


def test_no_text_of_who_was_restored_is_in_any_page_after_an_erasure(tmp_path: Path) -> None:
    """Long texts come in pieces, and a row that grew by them would leave copies of itself behind.

    So would words that are put together to be indexed.
    """
    original, restored = tmp_path / "original.sqlite", tmp_path / "restored.sqlite"
    words = {"ada": "unforgettable ", "bob": "memorable "}
    texts = [(word + before + word).encode() for user_id, word in words.items() for before in ("", mark_of(user_id))]

    async def write() -> None:
        with closing(SqliteExecutor(str(original))) as executor:
            for number in range(20):
                for user_id, word in words.items():
                    texts = (word * (number * 1_237 % 6_000 + 100), word * (number * 311 % 2_500 + 1))
                    record = conversation(*(new_message(text) for text in texts))
                    await SqlStore(executor, user_id).create_conversation(record)

    async def erase() -> None:
        with closing(SqliteExecutor(str(restored))) as executor:
            executor._connection.execute("PRAGMA secure_delete = OFF")  # as on D1
            assert (await retention.erase(SqlStore(executor, "ada")))[1]

    new_database(original).close()
    asyncio.run(write())
    with closing(apsw.Connection(str(original))) as connection:
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    target = reached(tmp_path)
    restore(target, tmp_path / "backup")
    saved(target, restored)
    before = pages(restored)
    asyncio.run(erase())
    after = pages(restored)
    assert [text in before for text in texts] == [True, False, True, False]
    assert [text in after for text in texts] == [False, False, True, False]


def pages(file: Path) -> bytes:
    """A file without the first page of each table, which keeps what stood there when the table outgrew it."""
    with closing(apsw.Connection(str(file))) as database:
        ((size,),) = database.execute("PRAGMA page_size")
        first = {page for (page,) in database.execute("SELECT rootpage FROM sqlite_schema")}
    content = file.read_bytes()
    starts = range(0, len(content), size)
    return b"".join(content[start : start + size] for start in starts if start // size + 1 not in first)


def test_every_device_begins_anew(original: Path, backup: Path, tmp_path: Path) -> None:
    async def cursor(file: Path, since: str | None = None) -> str:
        with closing(SqliteExecutor(str(file))) as executor:
            return (await SqlStore(executor, "ada").changes(since)).next

    before = asyncio.run(cursor(original))
    target = reached(tmp_path)
    restore(target, backup)
    restored = saved(target, tmp_path / "restored.sqlite")
    with pytest.raises(CursorExpired):
        asyncio.run(cursor(restored, before))
    assert epochs(restored).keys() == {"ada", "o'Brien; ö"}
    assert not {*epochs(restored).values()} & {*epochs(original).values()}


def test_the_service_goes_on_where_it_was(backup: Path, tmp_path: Path) -> None:
    target = reached(tmp_path)
    restore(target, backup)
    restored = saved(target, tmp_path / "restored.sqlite")

    async def go_on() -> None:
        with closing(SqliteExecutor(str(restored))) as executor:
            store = SqlStore(executor, "ada")
            await store.create_conversation(conversation(new_message("after the restore"), title="new"))
            page = await store.list_conversations()
            for row in page.conversations:
                await store.delete_conversation(row.id)
            await store.erase()
            while await store.sweep():
                pass

    asyncio.run(go_on())
    check_index(restored)
    assert not any(row[1] == "ada" for row in everything(restored)["messages"])


@pytest.mark.parametrize("after", [1, 3, 10_000])  # with none of a file done, the one before it is
def test_an_interrupted_restore_is_finished_by_running_it_again(
    tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "FILE_CHARACTERS", 30_000)
    monkeypatch.setattr(chunks, "_STATEMENT_CHARACTERS", 2_000)
    monkeypatch.setattr(chunks, "_PIECE_BYTES", 10_000)
    original, backup = tmp_path / "original.sqlite", tmp_path / "backup"
    with closing(new_database(original)) as connection:
        fill(original, large=10_000)
        back_up(reached(tmp_path, connection), backup)
    expected = to_keep(original)
    at = longest_left = 0
    while True:
        at += 1
        target = reached(tmp_path, interrupt={"at": at, "after": after})
        try:
            restore(target, backup)
        except KeyboardInterrupt:
            is_last = "INTO owners" in target.files[-1]
            cut = saved(target, tmp_path / "cut.sqlite")
            if not is_last:
                assert everything(cut)["owners"] in ([], [("", 0, 0)])  # so nothing of an old epoch is served
            left = [len(text.encode()) for _, _, text in everything(cut)["text of the first index"]]
            longest_left = max([longest_left, *left])
            if is_last and 0 < after < 10_000:
                continue  # half of the last file: it is all or none
            restore(target, backup)
        else:
            break
        restored = saved(target, tmp_path / "restored.sqlite")
        assert everything(restored) == expected
        check_index(restored)
        # What is indexed twice would be taken out first, and stay behind until the index is merged.
        assert target.inner.rows("SELECT count(*) FROM search_index_2_data WHERE id >= 1 << 53") == [(0,)]
    assert at > 20, at
    assert longest_left > 20_000  # a text that was being put together to be indexed


def test_restoring_it_once_more_changes_nothing(backup: Path, tmp_path: Path) -> None:
    target = reached(tmp_path)
    restore(target, backup)
    before = epochs(saved(target, tmp_path / "one.sqlite")), everything(tmp_path / "one.sqlite")
    restore(target, backup)
    assert (epochs(saved(target, tmp_path / "two.sqlite")), everything(tmp_path / "two.sqlite")) == before


def refused(target: Target, file: Path) -> tuple[int, str]:
    with pytest.raises(Problem) as raised:
        restore(target, file)
    assert "\n" not in str(raised.value)
    return raised.value.code, str(raised.value)


def test_a_database_that_is_not_empty_is_left_alone(original: Path, backup: Path, tmp_path: Path) -> None:
    with closing(apsw.Connection(str(original))) as connection:
        target = reached(tmp_path, connection)
    code, message = refused(target, backup)
    assert (code, "is not empty" in message) == (Code.NOT_EMPTY, True)
    assert target.files == []
    assert everything(saved(target, tmp_path / "after.sqlite")) == everything(original)


@pytest.mark.parametrize(
    "row",
    [
        "INSERT INTO owners (user_id, epoch) VALUES ('ada', 'e')",
        "INSERT INTO search_index_2 (rowid, text) VALUES (5, 'x')",
        "INSERT INTO word_lists VALUES (5, 'ada', 'x')",
        "INSERT INTO conversations SELECT 9, 'a', '', 1, '', '', 'user', NULL,0,0,0,0,1,1,0,0,0,0,'',0,'',0,NULL,NULL",
        "INSERT INTO messages SELECT 9, 'ada', 'c', 'c', 1, 1, '', 'user',0,NULL,NULL,NULL,0,NULL,'',NULL,1,0",
    ],
)
def test_any_row_of_a_user_makes_a_database_not_empty(backup: Path, tmp_path: Path, row: str) -> None:
    target = reached(tmp_path)
    target.inner.rows(row)
    assert refused(target, backup)[0] == Code.NOT_EMPTY
    assert target.inner.rows("SELECT count(*) FROM owners WHERE user_id = ''") == [(0,)]


def test_a_restore_of_another_backup_is_not_mixed_in(original: Path, backup: Path, tmp_path: Path) -> None:
    target = reached(tmp_path, interrupt={"at": 1, "after": 1})
    with pytest.raises(KeyboardInterrupt):
        restore(target, backup)
    with closing(new_database(":memory:")) as connection:
        back_up(reached(tmp_path, connection), tmp_path / "other")
    code, message = refused(target, tmp_path / "other")
    assert (code, "a restore of another backup" in message) == (Code.NOT_EMPTY, True)
    sha256 = json.loads(backup.read_text().splitlines()[-1])["sha256"]
    assert sha256 in message
    with pytest.raises(Problem, match="was begun and is not finished"):  # it is no database to back up either
        back_up(target, tmp_path / "third")
    restore(target, backup)
    assert everything(saved(target, tmp_path / "restored.sqlite")) == to_keep(original)


def test_a_database_that_somebody_uses_meanwhile_is_given_up(backup: Path, tmp_path: Path) -> None:
    target = reached(tmp_path, interrupt={"at": 1, "after": 1})
    with pytest.raises(KeyboardInterrupt):
        restore(target, backup)
    target.inner.rows("INSERT INTO owners (user_id, epoch) VALUES ('ada', 'e')")
    code, message = refused(target, backup)
    assert (code, "somebody has used" in message) == (Code.NOT_EMPTY, True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE messages SET content = content || ' ' WHERE n = (SELECT min(n) FROM messages)", "messages has"),
        ("DELETE FROM search_index_2 WHERE rowid = -2", "the index has"),
        ("INSERT OR REPLACE INTO search_index_2 (rowid, text) VALUES (-2, 'one')", "the index has"),
    ],
)
def test_what_is_not_what_the_backup_holds_is_not_served(backup: Path, tmp_path: Path, change: str, what: str) -> None:
    target = reached(tmp_path, interrupt={"at": 2, "after": 0})
    with pytest.raises(KeyboardInterrupt):
        restore(target, backup)
    assert "INTO owners" in target.files[-1]
    assert target.inner.rows("SELECT count(*) FROM search_index_2_docsize WHERE id = -2") == [(1,)]
    target.inner.rows(change)
    assert f"does not hold what the backup does: {what}" in refused(target, backup)[1]
    assert target.inner.rows("SELECT count(*) FROM owners WHERE user_id <> ''") == [(0,)]


def test_a_database_that_is_not_migrated_is_left_alone(backup: Path, tmp_path: Path) -> None:
    for count in (0, 2):
        target = reached(tmp_path, new_database(":memory:", count))
        code, message = refused(target, backup)
        assert (code, message.endswith("run scripts/migrate first")) == (Code.OTHER_SCHEMA, True)
        assert target.files == []


def test_a_backup_of_an_older_schema_is_brought_to_this_one(tmp_path: Path) -> None:
    old = new_database(":memory:", 2)
    old.execute("INSERT INTO owners (user_id, epoch, rev) VALUES ('ada', 'e', 1)")
    old.execute(
        "INSERT INTO conversations SELECT value, 'ada', ? || value, 1, '', 'A trip', 'user', NULL, 0, 0, value = 2, 0, "
        "1, NULL, 0, 0, 0, 0, '{}' FROM json_each('[1, 2, 3]')",
        (ULID,),
    )
    old.execute(
        "INSERT INTO messages SELECT 2, 'ada', ? || 9, ? || 2, 1, 1, '', 'user', 0, NULL, NULL, NULL, 0, NULL, ?",
        (ULID, ULID, '[{"type": "text", "text": "to Zürich"}]'),
    )
    back_up(reached(tmp_path, old), tmp_path / "old")
    assert json.loads((tmp_path / "old").read_text().splitlines()[0])["schema"] == "0002_search.sql"
    target = reached(tmp_path)
    restore(target, tmp_path / "old")
    restored = saved(target, tmp_path / "restored.sqlite")
    check_index(restored)
    assert [row[:3] for row in everything(restored)["conversations"]] == [(n, "ada", f"{ULID}{n}") for n in (1, 2, 3)]
    assert [row[:3] for row in everything(restored)["messages"]] == [(2, "ada", f"{ULID}2")]
    pages = hits(restored, "ada")
    assert [page["hits"][0]["message"]["id"] for page in pages if page["hits"]] == [f"{ULID}9"]


@pytest.mark.parametrize("migrated", [False, True])
def test_a_backup_of_a_database_with_its_words_in_the_first_index_is_found_in(tmp_path: Path, migrated: bool) -> None:
    original, older = tmp_path / "original.sqlite", tmp_path / "older.sqlite"
    new_database(original).close()
    fill(original, has_branches=False)
    as_before(original, older)
    if migrated:
        bring_up_to_date(older)
    with closing(apsw.Connection(str(older))) as connection:
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    schema = json.loads((tmp_path / "backup").read_text().splitlines()[0])["schema"]
    assert schema == (NEWEST if migrated else "0004_padding.sql")
    target = reached(tmp_path)
    restore(target, tmp_path / "backup")
    restored = saved(target, tmp_path / "restored.sqlite")
    if not migrated:
        bring_up_to_date(older)
    check_index(restored)
    assert everything(older)["first index"]  # it has not been swept
    assert everything(restored)["first index"] == everything(restored)["text of the first index"] == []
    assert [row[1:] for row in everything(restored)["index"]] == [row[1:] for row in to_keep(original)["index"]]
    for user_id in ("ada", "o'Brien; ö"):
        assert hits(restored, user_id) == hits(older, user_id) == hits(original, user_id)
        assert any(page["hits"] for page in hits(restored, user_id))
    assert exported(restored, "ada") == exported(original, "ada")


# Files that are no backup, or not what was written.


def edited(backup: Path, tmp_path: Path, change: Any) -> Path:
    """A backup with its lines changed, and with a checksum that is right again."""
    lines = backup.read_bytes().splitlines(keepends=True)[:-1]
    content = b"".join(change(lines))
    footer = json.dumps({"sha256": hashlib.sha256(content).hexdigest()}) + "\n"
    (tmp_path / "edited").write_bytes(content + footer.encode())
    return tmp_path / "edited"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no backup of Threadkeep"),
        (b"\0\xff" * 1000, "is no backup of Threadkeep"),
        (b"SQLite format 3\0", "is no backup of Threadkeep"),
        (b'{"version":1,"conversation":{"messages":[]}}\n', "is no backup of Threadkeep"),
        (b'["threadkeep","backup"]\n', "is no backup of Threadkeep"),
        (b'{"threadkeep":"backup","version":2,"more":[]}\n', "is of the form 2"),
        (b'{"threadkeep":"backup","version":1}\n', "has been changed"),
        (
            b'{"threadkeep":"backup","version":1,"schema":"x","createdAt":"","tables":{"a":[]},"rows":{}}\n',
            "names other tables than it counts",
        ),
    ],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    target = reached(tmp_path)
    code, said = refused(target, tmp_path / "file")
    assert (code, message in said) == (Code.NOT_A_BACKUP, True), said
    assert target.files == []


def test_a_backup_that_is_cut_off_anywhere_is_refused(backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    for size in (*(place + shift for place in ends[::9] + ends[-3:] for shift in (0, 1)), len(content) - 10):
        if size < len(content):
            (tmp_path / "cut").write_bytes(content[:size])
            assert refused(reached(tmp_path), tmp_path / "cut")[0] == Code.NOT_A_BACKUP


def test_a_backup_that_was_edited_is_refused(backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    (count,) = re.findall(rb'"pieces":(\d+)', content.split(b"\n")[0])  # of the last table
    rows, fewer, more = (b'"pieces":%d' % number for number in (int(count), int(count) - 1, int(count) + 1))
    for changed, message in (
        (content.replace(b"What is a monad?", b"What is a nomad?", 1), "its checksum is another"),
        (content + b"\n", "its checksum is another"),
        (content + content, "its checksum is another"),
        (content.replace(b'["messages",', b'["message",', 1), "a row of the table messages is none"),
        (content.replace(b'["messages",', b'["messages",1,', 1), "a row of the table messages is none"),
        (content.replace(b'["messages",', b'["messages",{},', 1), "a row of the table messages is none"),
        (content.replace(rows, more, 1), "is none"),
        (content.replace(rows, fewer, 1), "it holds more rows than it counts"),
    ):
        (tmp_path / "changed").write_bytes(changed)
        code, said = refused(reached(tmp_path), tmp_path / "changed")
        assert (code, message in said) == (Code.NOT_A_BACKUP, True), said


def test_a_backup_with_a_right_checksum_must_fit_its_schema_too(backup: Path, tmp_path: Path) -> None:
    def replaced(old: bytes, new: bytes) -> Any:
        return lambda lines: [lines[0].replace(old, new), *lines[1:]]

    for change, message in (
        (
            replaced(NEWEST.encode(), b"0999_later.sql"),
            "which this checkout does not know: take a newer one",
        ),
        (replaced(NEWEST.encode(), b"0002_search.sql"), "its tables are not those of 0002_search.sql"),
        (replaced(b'"digest"', b'"hash"'), "its tables are not those of"),
        (lambda lines: [line.replace(b'"assistant"', b'"robot"') for line in lines], "CHECK constraint failed"),
        (lambda lines: [line.replace(b'["owners","ada"', b'["owners",null') for line in lines], "NOT NULL constraint"),
        (
            lambda lines: [line.replace(b'["owners","ada"', b'["owners",""') for line in lines],
            "it holds rows of nobody",
        ),
        (lambda lines: [line.replace(b',3,"ada"', b',99999999999999999999,"ada"') for line in lines], "changed"),
    ):
        target = reached(tmp_path)
        code, said = refused(target, edited(backup, tmp_path, change))
        assert (code, message in said) == (Code.NOT_A_BACKUP, True), said
        assert target.files == []


# What is changed in a row, by the column, and what is said of it.
IMPOSSIBLE = {
    "content that is no JSON": ("messages", {"content": "nonsense"}, "content: This is not JSON"),
    "content that is nothing": ("messages", {"content": ""}, "content: This is not JSON"),
    "content without a block": ("messages", {"content": "[]"}, "content: Content must be a string, or an array"),
    "a block without a type": ("messages", {"content": "[{}]"}, "content[0]: A block must have a `type`"),
    "a text that is a number": ("messages", {"content": '[{"type":"text","text":1}]'}, "content[0].text: Must be"),
    "content without end": ("messages", {"content": "[" * 100_000}, "content: The JSON is nested more than 100 levels"),
    "metadata that is an array": ("messages", {"metadata": "[]"}, "metadata: Metadata must be a JSON object."),
    "too much metadata": (
        "conversations",
        {"metadata": json.dumps({"a": "b" * 20_000})},
        "metadata: Metadata may have",
    ),
    "an id that is a path": ("conversations", {"id": "../../x"}, "id: Must be an id"),
    "an id of a message that is a path": ("messages", {"id": "../../x"}, "id: Must be an id"),
    "a parent that is a path": ("messages", {"parent_id": "../../x"}, "parent_id: Must be an id"),
    "a conversation that there is not": (
        "messages",
        {"conversation_id": f"{ULID}Q"},
        "is in no conversation of its user",
    ),
    "a message of nobody": ("messages", {"user_id": "nobody"}, "is in no conversation of its user"),
    "a conversation of nobody": ("conversations", {"user_id": "nobody"}, "is of nobody"),
    "a user that is none": ("owners", {"user_id": "a\nb"}, "user_id: A user id has 1 to 255 characters"),
    "a gap": ("messages", {"seq": 99}, "does not count its messages, or they have a gap"),
    "a seq below the first": ("messages", {"seq": 0}, "seq: Must be a whole number from 1 to"),
    "a wrong count": ("conversations", {"message_count": 99}, "does not count its messages, or they have a gap"),
    "a number of a row far below": ("messages", {"n": -9_007_199_254_740_000}, "n: Must be a whole number from 1 to"),
    "a number of a row far beyond": ("messages", {"n": 2**60}, "n: Must be a whole number from 1 to"),
    "a version that is none": ("conversations", {"version": 0}, "version: Must be a whole number from 1 to"),
    "a time far beyond": ("conversations", {"updated_at": 2**62}, "updated_at: Must be a whole number from 0 to"),
    "a deletion before all time": ("conversations", {"deleted_at": -5}, "deleted_at: Must be"),
    "a change that is still to come": ("messages", {"rev": 2**53 - 1}, "has a rev after that of its owner"),
    "a leaf that there is not": ("conversations", {"leaf_seq": 99}, "has a leaf that is not there"),
    "an origin that is no JSON": ("conversations", {"forked_from": "nonsense"}, "forked_from: This is not JSON"),
    "an origin without a message": ("conversations", {"forked_from": "{}"}, "conversationId"),
    "a fork of no message": ("forks", {"seq": 98}, "is of no message, or follows none"),
    "a fork of nobody": ("forks", {"user_id": "nobody"}, "is of nobody"),
    "a fork that follows what is not there": (
        "forks",
        {"seq": 2**40, "follows": 97},
        "is of no message, or follows none",
    ),
    "a deleted branch of no messages": ("cuts", {"to_seq": 99}, "is of no messages"),
    "a deleted branch of nobody": ("cuts", {"user_id": "nobody"}, "is of nobody"),
    "a deleted branch within another": ("cuts", {"from_seq": 6, "to_seq": 6}, "reaches into another"),
    "a branch that is half removed": ("cuts", {"deleted_at": -5}, "deleted_at: Must be"),
    "a deletion that is still to come": ("cuts", {"rev": 2**53 - 1}, "has a rev after that of its owner"),
    "a journal of nobody": ("journals", {"user_id": "nobody"}, "is of nobody"),
    "a space that is none": ("journals", {"space": "s" * 65}, "space: A name has 1 to 64 bytes"),
    "a key that is none": ("journals", {"key": "a\nb"}, "key: A name has 1 to 512 bytes"),
    "a label that is none": ("journals", {"status": "a\0"}, "status: A name has 1 to 512 bytes"),
    "a head that is no JSON": ("journals", {"head": "nonsense"}, "head: This is not JSON"),
    "a journal that is deleted": ("journals", {"deleted_at": 5}, "is in nothing that is kept"),
    "an entry of no journal": ("entries", {"journal": 999}, "is in nothing that is kept"),
    "an id of an entry that is none": ("entries", {"id": "a\0"}, "id: A name has 1 to 512 bytes"),
    "an entry beyond the last": ("entries", {"seq": 999}, "has a seq that its journal has not given yet"),
    "an entry that is no JSON": ("entries", {"data": "[1", "big": None}, "data: This is not JSON"),
    "an entry without a text": ("entries", {"data": None, "big": None}, "has no text, or two"),
    "an entry without its pieces": ("entries", {"data": None, "big": "other"}, "does not have all of its pieces"),
    "a piece of nothing": ("pieces", {"group_id": "other"}, "is of nothing"),
    "a piece of nobody": ("pieces", {"user_id": "nobody"}, "is of nobody"),
    "a floor above all": ("owners", {"floor": 2**53 - 1}, "floor: It is after `rev`"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_row_that_the_service_would_not_have_kept_is_refused_by_its_name(
    backup: Path, tmp_path: Path, what: str
) -> None:
    table, values, message = IMPOSSIBLE[what]

    def change(lines: list[bytes]) -> list[bytes]:
        columns = json.loads(lines[0])["tables"][table]
        at = max(number for number, line in enumerate(lines) if line.startswith(b'["%b"' % table.encode()))
        row = dict(zip(columns, json.loads(lines[at])[1:], strict=True)) | values
        return [*lines[:at], json.dumps([table, *row.values()]).encode() + b"\n", *lines[at + 1 :]]

    target = reached(tmp_path)
    code, said = refused(target, edited(backup, tmp_path, change))
    assert (code, message in said) == (Code.NOT_A_BACKUP, True), said
    assert f"the row of {table} with the " in said or "owners" in said or "conversations" in said
    assert target.files == []


@pytest.mark.parametrize("line", [b'{"threadkeep":"backup","version":', b'{"threadkeep":"backup","a":'])
def test_a_backup_that_is_nested_without_end_is_none(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "deep").write_bytes(line + b"[" * 100_000 + b"\n")
    assert refused(reached(tmp_path), tmp_path / "deep")[0] == Code.NOT_A_BACKUP


def test_a_backup_says_what_in_it_will_be_refused(original: Path, tmp_path: Path, capsys: Any) -> None:
    with closing(apsw.Connection(":memory:")) as connection:
        with closing(apsw.Connection(str(original))) as source, connection.backup("main", source, "main") as copy:
            copy.step()
        connection.execute("UPDATE messages SET content = 'nonsense' WHERE user_id LIKE 'o%' AND seq = 1")
        back_up(reached(tmp_path, connection), tmp_path / "backup")
    assert "warning: scripts/restore will refuse it: the row of messages with the n" in capsys.readouterr().err
    assert "content: This is not JSON" in refused(reached(tmp_path), tmp_path / "backup")[1]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path):
        code, said = refused(reached(tmp_path), file)
        assert (code, str(file) in said) == (Code.FILE_UNUSABLE, True)
