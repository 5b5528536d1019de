"""Searching messages and titles."""

import unicodedata
from typing import Any

import pytest

from support.backends import Backend
from support.records import conversation, edit, message, messages, new_message, plain
from threadkeep.conversations.models import HitPage
from threadkeep.conversations.records import SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import Conflict, Invalid, Stale
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio


async def keep(store: Store, *texts: str, **fields: Any) -> tuple[str, dict[str, str]]:
    """Keep a conversation of these texts; its id, and the texts by the ids of their messages."""
    sent = [new_message(text, role="assistant") for text in texts]
    record = conversation(*sent, **fields)
    await store.create_conversation(record)
    return record.id, {new.id or "": text for new, text in zip(sent, texts, strict=True)}


async def search(store: Store, text: str, **options: Any) -> HitPage:
    paging = {name: options.pop(name) for name in ("cursor", "limit") if name in options}
    return await store.search(SearchQuery(text=text, **options), **paging)


async def texts_found(store: Store, text: str, **options: Any) -> list[str]:
    page = await search(store, text, **options)
    return sorted(
        "title: " + hit.conversation.title if hit.message is None else plain(hit.message.content)[0]["text"]
        for hit in page.hits
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("flight", ["A flight to Seattle", "flight, then train: flight!"]),
        ("FLIGHT", ["A flight to Seattle", "flight, then train: flight!"]),
        ("fli", ["A flight to Seattle", "flight, then train: flight!"]),
        ('"fli"', []),
        ("fli seattle", []),
        ("flight seattle", ["A flight to Seattle"]),
        ("seattle flight", ["A flight to Seattle"]),
        ('"flight to"', ["A flight to Seattle"]),
        ('"to flight"', []),
        ('"flight to', ["A flight to Seattle"]),
        ('train "then train" fligh', ["flight, then train: flight!"]),
        ("cafe", ["Café Zürich, ¡olé!"]),
        ("ZURICH ole", ["Café Zürich, ¡olé!"]),
        ("strasse", ["Straße nach Çeşme"]),
        ("cesme", ["Straße nach Çeşme"]),
        ("漢", ["日本語の漢字テスト"]),
        ("語の漢字", ["日本語の漢字テスト"]),
        ("漢語", []),
        ("字テ", ["日本語の漢字テスト"]),
        ("국어", ["한국어로 쓴 글"]),
        ("HAT136", ["code HAT136-ZX, id 4f_2a"]),
        ("hat136-zx", ["code HAT136-ZX, id 4f_2a"]),
        ("zx-hat136", []),
        ("4f_2a", ["code HAT136-ZX, id 4f_2a"]),
        ("nothing", []),
    ],
)
async def test_what_holds_every_word_and_phrase_is_found(backend: Backend, query: str, found: list[str]) -> None:
    store = await backend.store()
    await keep(
        store,
        "A flight to Seattle",
        "flight, then train: flight!",
        "Café Zürich, ¡olé!",
        "Straße nach Çeşme",
        "日本語の漢字テスト",
        "한국어로 쓴 글",
        "code HAT136-ZX, id 4f_2a",
    )
    assert await texts_found(store, query) == found


CORPUS = [
    "我想预订从北京到上海的航班。靠窗的座位。",
    "从上海到东京的航班取消了。请退款。",
    "東京から大阪までの新幹線を予約したいです。",
    "予約番号を教えてください。東京駅で受け取ります。",
    "서울에서 부산까지 가는 기차를 예약하고 싶습니다.",
    "부산행 기차가 취소되어 환불을 요청합니다.",
]
SUBSTRINGS = [
    *("航班", "上海", "从", "东京", "退款", "北京到", "的航班", "座位", "京"),
    *("東京", "予約", "新幹線を", "から", "ください", "東京駅で", "です"),
    *("부산", "기차", "환불을", "예약"),
]
ACCENTED = ["Crème brûlée à Noël", "Ångström und Fußgänger", "El niño comió piñata", "Dvořák v Čechách", "naïve façade"]
PLAIN = [
    *("creme", "brulee", "noel", "angstrom", "fussganger", "nino", "comio", "pinata", "dvorak", "cechach", "facade"),
    *("CRÈME", "ÅNGSTRÖM", "fußgänger", "NIÑO", "Dvořák", "Naïve"),
]


async def test_any_part_of_a_text_without_spaces_is_found_as_a_scan_finds_it(backend: Backend) -> None:
    store = await backend.store()
    for text in CORPUS:
        await keep(store, "-", text)
    assert len(SUBSTRINGS) == 20
    for part in SUBSTRINGS:
        found = [text for text in await texts_found(store, f'"{part}"') if not text.startswith("title: ")]
        assert found == sorted(text for text in CORPUS if part in text), part
        assert found != []


async def test_words_with_accents_are_found_as_a_scan_without_them_finds_them(backend: Backend) -> None:
    def bare(text: str) -> str:
        letters = unicodedata.normalize("NFD", text.casefold())
        return "".join(letter for letter in letters if not unicodedata.combining(letter))

    store = await backend.store()
    for text in ACCENTED:
        await keep(store, "-", text)
    for word in PLAIN:
        found = [text for text in await texts_found(store, f'"{word}"') if not text.startswith("title: ")]
        assert found == [text for text in ACCENTED if bare(word) in bare(text).split()], word
        assert len(found) == 1


@pytest.mark.parametrize(
    "query",
    ["NEAR(flight train)", "flight AND train", "text:flight", "flight*", "^flight", "-flight", "flight + train"],
)
async def test_the_syntax_of_the_database_is_only_words(backend: Backend, query: str) -> None:
    store = await backend.store()
    await keep(store, "a flight", "a train", f"this is {query}")
    found = await texts_found(store, query)
    assert f"this is {query}" in found
    assert "a train" not in found


async def test_a_query_that_is_blank_or_has_too_many_words_is_invalid(backend: Backend) -> None:
    store = await backend.store()
    for query in ("", " ", "a " * 40, "a-" * 250 + "漢" * 300):
        with pytest.raises(Invalid) as caught:
            await search(store, query)
        assert caught.value.path == "q"


async def test_a_query_of_signs_or_emoji_alone_finds_nothing(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "... 😀", "a flight")
    for query in ('"', '""', "...", "😀", "* ( ) - ^", "\u0000"):
        assert await search(store, query) == HitPage([], None)


async def test_a_word_is_found_by_what_people_type_and_is_marked(backend: Backend) -> None:
    store = await backend.store()
    texts = {
        "lodz": "Łódź",
        "duong": "đường",
        "ışık": "IŞIK",
        "cooperation": "co\u00adop\u00aderation",
        "كتاب": "كتـــاب",
        "می\u200cخواهم": "میخواهم",
        "バガ": "ﾊﾞｶﾞ",
        "한글": "\u1112\u1161\u11ab\u1100\u1173\u11af",
        "漢" * 40: "漢" * 41,
    }
    await keep(store, *(f"see {text}!" for text in texts.values()))
    for query, text in texts.items():
        (hit,) = (await search(store, query)).hits
        assert "".join(part.text for part in hit.snippet if part.match) == text, query


SCRIPTS = {
    "Ёлка и чай": ["елка", "чаи", "ЁЛКА"],
    "Σίσυφος": ["σισυφος", "ΣΊΣΥΦΟΣ", "σισυφοσ"],
    "בְּרֵאשִׁית ברא": ["בראשית", "ברא"],
    "اَلْعَرَبِيَّةُ لغة": ["العربية", "لغة"],
    "हिन्दी में लिखा": ["हिन्दी", "लिखा"],
    "ภาษาไทยง่าย": ["ภาษา", "ภาษาไทย"],
    "தமிழ் மொழி": ["தமிழ்", "மொழி"],
    "বাংলা ভাষা": ["বাংলা", "ভাষা"],
    "ქართული ენა": ["ქართული", "ენა"],
    "հայերեն լեզու": ["ՀԱՅԵՐԵՆ", "լեզու"],
    "አማርኛ ቋንቋ": ["አማርኛ", "ቋንቋ"],
    "ភាសាខ្មែរ": ["ភាសា", "ភាសាខ្មែ"],
    "မြန်မာဘာသာ": ["မြန်မာ"],
    "한국어로 쓴 글": ["\u1112\u1161\u11ab\u1100\u116e\u11a8", "쓴"],
    "請求書をください": ["請求", "求書", "ください"],
    "天气预报说明天下雨": ["天气", "明天", "预报说明"],
    "Việt Nam ngày mới": ["viet", "ngay", "moi", "MỚI"],
    "Zażółć gęślą jaźń": ["zazolc", "gesla", "jazn"],
    "Bjørn på tårnet": ["bjorn", "pa", "tarnet"],
    "IŞIK İstanbul": ["ışık", "istanbul"],
    "cœur et façade": ["coeur", "facade"],
    "Größe, Maß": ["grosse", "mass", "GRÖSSE"],
}


async def test_words_of_every_script_are_found_as_people_type_them(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, *SCRIPTS, title="-")
    for text, queries in SCRIPTS.items():
        for query in queries:
            assert await texts_found(store, query) == [text], query


async def test_names_as_programs_write_them_are_found(backend: Backend) -> None:
    store = await backend.store()
    texts = ["ask gpt-4o", "call foo.bar() now", "in c++", "match a*", "'; DROP TABLE messages; -- gone", "why not?"]
    await keep(store, *texts, title="-")
    for query, text in zip(
        ("gpt-4o", "foo.bar()", "c++", "a*", "'; DROP TABLE messages; --", "not?"), texts, strict=True
    ):
        assert text in await texts_found(store, query), query


async def test_nul_in_a_text_hides_nothing_of_it(backend: Backend) -> None:
    store = await backend.store()
    text = "the \u0000 weather\u0000 tomorrow"
    await keep(store, text, title="-")
    for query in ("the", "weather", "tomorrow", "\u0000weather", "the \u0000 weather"):
        (hit,) = (await search(store, query)).hits
        assert "".join(part.text for part in hit.snippet) == text, query
        assert any(part.match for part in hit.snippet), query


async def test_what_is_written_in_parts_is_shown_where_it_stands_in_a_long_text(backend: Backend) -> None:
    store = await backend.store()
    for query, text in (("ガス", "ｶﾞｽ"), ("がす", "か\u3099す"), ("한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8")):
        await keep(store, "before " * 60 + text + "料金", title="-")
        (hit,) = (await search(store, query)).hits
        assert [part.text for part in hit.snippet if part.match] == [text]


async def test_what_tools_were_asked_and_answered_is_found_and_what_nobody_reads_is_not(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store)
    blocks = [
        {"type": "tool_use", "id": "hiddenid", "name": "lookup", "input": {"query": "zebra", "deep": [{"of": "yak"}]}},
        {"type": "tool_result", "toolUseId": "x", "content": [{"type": "text", "text": "walrus"}]},
        {"type": "tool_result", "toolUseId": "x", "content": "ocelot"},
        {"type": "image", "source": {"data": "hiddendata"}},
        {"type": "thinking", "thinking": "quokka", "signature": "hiddensignature"},
        {"type": "other", "text": "okapi", "secret": "hiddenother"},
    ]
    await store.append_messages(conversation_id, [message(content=blocks, role="assistant")])
    for word in ("zebra", "yak", "walrus", "ocelot", "quokka", "okapi"):
        assert len((await search(store, word)).hits) == 1, word
    for word in ("hiddenid", "hiddendata", "hiddensignature", "hiddenother", "lookup", "query"):
        assert (await search(store, word)).hits == [], word


async def test_titles_are_found_as_they_are_now(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store, "text", title="Armadillo plans")
    assert await texts_found(store, "armadillo") == ["title: Armadillo plans"]
    await store.update_conversation(conversation_id, edit(title="Badger plans"))
    assert await texts_found(store, "armadillo") == []
    assert await texts_found(store, "badger") == ["title: Badger plans"]
    await store.update_conversation(conversation_id, edit(title=None))
    assert await texts_found(store, "badger") == []
    assert await texts_found(store, "conversation") == []
    await store.append_messages(conversation_id, [message("Caracal plans")])
    assert await texts_found(store, "caracal") == ["Caracal plans", "title: Caracal plans"]
    await store.update_conversation(conversation_id, edit(title="Lost", edited_at=1))
    assert await texts_found(store, "lost") == []


async def test_what_is_deleted_is_not_found_until_it_is_restored(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store, "a dromedary", title="Dromedary")
    await store.delete_conversation(conversation_id)
    assert await texts_found(store, "dromedary") == []
    await store.restore_conversation(conversation_id)
    assert await texts_found(store, "dromedary") == ["a dromedary", "title: Dromedary"]


async def test_a_repeat_is_found_once_and_what_was_refused_is_not(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store)
    sent = [message("an echidna", role="system")]
    for _ in range(2):
        await store.append_messages(conversation_id, sent)
    assert await texts_found(store, "echidna") == ["an echidna"]
    with pytest.raises(Conflict):
        await store.append_messages(conversation_id, [message("a ferret", id=sent[0].id)])
    with pytest.raises(Stale):
        await store.append_messages(conversation_id, [message("a gecko")], expected_message_count=9)
    assert await texts_found(store, "ferret") == []
    assert await texts_found(store, "gecko") == []


async def test_hits_can_be_narrowed_by_role_and_by_time(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store, title="Heron")
    sent = [message("heron by a user"), message("heron by a system", role="system")]
    appended, _ = await store.append_messages(conversation_id, sent)
    time = appended.messages[0].created_at
    created = appended.conversation.created_at
    assert await texts_found(store, "heron", role="user") == ["heron by a user"]
    assert len((await search(store, "heron", since=created, until=time + 1)).hits) == 3
    assert (await search(store, "heron", until=created)).hits == []
    before = await search(store, "heron", until=time)
    assert not {sent[0].id, sent[1].id} & {hit.message.id for hit in before.hits if hit.message}
    assert (await search(store, "heron", since=time + 1)).hits == []
    assert len((await search(store, "heron", since=0, until=2**53 - 1)).hits) == 3


async def test_the_best_hit_comes_first(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "ibis " + "filler " * 200, "ibis ibis ibis", "filler " * 20 + "ibis")
    page = await search(store, "ibis")
    lengths = [len(plain(hit.message)["content"][0]["text"]) for hit in page.hits]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_pages_of_hits_hold_each_once(backend: Backend, limit: int) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store)
    await store.append_messages(conversation_id, messages(11))
    seen: list[str] = []
    page = await search(store, "message", limit=limit)
    while True:
        assert len(page.hits) <= limit
        seen += [hit.message.id if hit.message else "title" for hit in page.hits]
        if page.next_cursor is None:
            break
        page = await search(store, "message", limit=limit, cursor=page.next_cursor)
    assert len(seen) == len(set(seen)) == 12


async def test_a_page_of_large_hits_is_short(backend: Backend) -> None:
    store = await backend.store()
    conversation_id, _ = await keep(store, title="T")
    for _ in range(3):
        await store.append_messages(conversation_id, [message("jaguar " + "x" * 1_400_000)])
    page = await search(store, "jaguar", limit=100)
    assert len(page.hits) == 1
    assert page.next_cursor is not None
    assert len((await search(store, "jaguar", cursor=page.next_cursor)).hits) == 1


async def test_only_the_first_16_000_characters_of_a_message_are_searched(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "x" * 15_990 + " kestrel " + " lemur", title="T")
    assert len((await search(store, "kestrel")).hits) == 1
    assert (await search(store, "lemur")).hits == []


async def test_a_phrase_at_the_end_of_a_long_text_of_few_characters_is_found(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "的是" * 7_990 + "東的是京", title="T")
    for query in ('"東的是京"', '"的是的是東的"', "東的是"):
        assert len((await search(store, query)).hits) == 1, query
    for query in ('"東是的京"', '"是東是"', '"的的"'):
        assert (await search(store, query)).hits == [], query


async def test_a_word_of_any_length_is_found_whole_and_by_its_beginning(backend: Backend) -> None:
    store = await backend.store()
    word = "ab" * 100 + "é" * 200
    await keep(store, f"before {word}x after", f"{word}{word}", title="T")
    for query, count in (
        (f"{word}x", 1),
        (f'"{word}x"', 1),
        (word, 2),
        (word[:399], 2),
        (f'"before {word}x after"', 1),
    ):
        assert len((await search(store, query)).hits) == count, query[:20]
    for query in (f'"{word}"', f"{word}y", f'"{word[:99]}"', f'"{word}x before"'):
        assert (await search(store, query)).hits == [], query[:20]


async def test_a_text_of_characters_that_stand_for_sentences_is_found_by_its_beginning(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "first " + "\ufdfa" * 15_000, title="T")
    assert len((await search(store, "first \ufdfa")).hits) == 1


async def test_a_message_with_numbers_beyond_every_float_is_found_like_any_other(backend: Backend) -> None:
    client = backend.client_of(f"user-{new_id()}")
    numbers = b'"n":1e400,"m":' + b"9" * 40
    body = b'{"messages":[{"role":"user","content":[{"type":"text","text":"a numbat",%b}]}]}' % numbers
    created = await client.post("/api/conversations", content=body, headers={"Content-Type": "application/json"})
    assert created.status_code == 201
    found = await client.get("/api/conversations/search", params={"q": "numbat"})
    assert found.status_code == 200
    assert b"1e400" in found.content


async def test_a_snippet_is_the_original_text_around_the_match_in_parts(backend: Backend) -> None:
    store = await backend.store()
    text = "word " * 100 + "the <b>MÉERKAT</b> stands " + "word " * 100
    await keep(store, text, title="T")
    (hit,) = (await search(store, "meerkat stands")).hits
    whole = "".join(part.text for part in hit.snippet)
    assert whole in text
    assert len(whole) <= 200
    assert [part.text for part in hit.snippet if part.match] == ["MÉERKAT", "stands"]


async def test_a_cursor_that_leads_nowhere_is_invalid(backend: Backend) -> None:
    store = await backend.store()
    await keep(store, "newt", title="T")
    for cursor in ("garbage", new_id(), (await keep(store))[0], "WyJoIiwtMV0", "WyJoIiwxMDAwMDAwMF0"):
        with pytest.raises(Invalid) as caught:
            await search(store, "newt", cursor=cursor)
        assert caught.value.path == "cursor"


async def test_nobody_finds_what_is_somebody_elses(backend: Backend) -> None:
    alice, bob = await backend.store(), await backend.store()
    conversation_id, texts = await keep(alice, "the secret okapi", title="Okapi")
    await bob.create_conversation(
        conversation(new_message("mine", id=next(iter(texts))), id=conversation_id, title="B")
    )
    assert await texts_found(bob, "okapi") == []
    assert await texts_found(bob, "mine") == ["mine"]
    assert await texts_found(alice, "okapi") == ["the secret okapi", "title: Okapi"]
