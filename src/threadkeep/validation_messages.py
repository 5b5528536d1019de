"""What is wrong with a value, in the words of JSON: whoever reads it may write any language.

msgspec's sentences speak of Python. Taken from them are only the place and the names of fields; what belongs at the
place is said by its type. This is imported when something is refused for the first time, and not before.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from msgspec import inspect

from threadkeep.common_mistakes import ABOUT_FIELDS, ABOUT_VALUES, MEANT_ROLES

# No type is nested that deep. A name that was sent may look like a longer path, which must not cost anything.
_AT = re.compile(r"(?P<wrong>.*) - at `(?P<key>key` in `)?\$(?P<place>(?:\.\w+|\[(?:\d+|\.\.\.)\]){0,20})`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_GOT = re.compile(r".*, got `(\w+)`")
_VALUE = re.compile(r"Invalid (?:enum )?value '(.*)'", re.DOTALL)
_MALFORMED = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")

_NAME_CHARACTERS_MAX = 60
_PLAIN_NAME = re.compile(rf"[A-Za-z_][\w-]{{0,{_NAME_CHARACTERS_MAX - 1}}}", re.ASCII)
_PLAIN_VALUE = re.compile(rf"[^\\'\"`\x00-\x1f\x7f-\x9f\u2028\u2029]{{0,{_NAME_CHARACTERS_MAX}}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NEAR = 0.75

_KINDS_IN_JSON = {
    "str": "a string",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "null": "null",
    "array": "an array",
    "object": "an object",
}
"""What msgspec calls what it got."""

_SIMPLE: dict[type[inspect.Type], str] = {
    inspect.NoneType: "null",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a date and time such as 2026-11-20T09:30:00Z",
    inspect.DateType: "a date such as 2026-11-20",
    inspect.TimeType: "a time such as 09:30:00",
    inspect.TimeDeltaType: "a duration such as PT1H30M",
    inspect.UUIDType: "a UUID",
    inspect.DecimalType: "a decimal number",
}
_OF_LENGTH: dict[type[inspect.Type], tuple[str, str]] = {
    inspect.StrType: ("a string", "character"),
    inspect.BytesType: ("a string in base64", "byte"),
    inspect.ByteArrayType: ("a string in base64", "byte"),
    inspect.DictType: ("an object", "field"),
    inspect.ListType: ("an array", "item"),
    inspect.SetType: ("an array", "item"),
    inspect.FrozenSetType: ("an array", "item"),
    inspect.VarTupleType: ("an array", "item"),
}

_WORDS_OF_JSON_ERRORS = {
    "expected ':'": "a colon was expected after the name",
    "expected ',' or ']'": "a comma or ] was expected",
    "expected ',' or '}'": "a comma or } was expected",
    "object keys must be strings": "a name was expected, in double quotes",
    "trailing comma in array": "a value was expected after the comma, or no comma before ]",
    "trailing comma in object": "a name was expected after the comma, or no comma before }",
    "trailing characters": "nothing more was expected after the first value",
    "invalid number": "this is not how JSON writes a number",
    "invalid character in unicode escape": r"four hexadecimal digits were expected after \u",
    "invalid escape character in string": r"only \" \\ \/ \b \f \n \r \t and \u are escapes",
    "invalid escaped character": r"only \" \\ \/ \b \f \n \r \t and \u are escapes",
}
_TOLD_ONE_BYTE_LATE = {
    "trailing characters",
    "invalid character in unicode escape",
    "invalid escape character in string",
    "invalid escaped character",
}
_QUERY_PARAMETER = "query parameter"
_ANY_VALUE = "an object, an array, a string in double quotes, a number, true, false or null was expected"


def explain(sentence: str, into: Any, texts: dict[str, str] | None = None) -> tuple[str, str]:
    """Take msgspec's sentence about a value apart. Returns the path within the value, and a sentence of ours.

    `texts` are the fields of a query, if it is about one.
    """
    wrong, place, kind = _taken_apart(sentence, _type_info(into))
    what = "field" if texts is None else _QUERY_PARAMETER
    missing = _MISSING.fullmatch(wrong)
    if missing:
        words = _words(_inside(kind, missing[1]), with_null=texts is None)
        return f"{place}.{missing[1]}", f"The {what} `{missing[1]}` is missing. It must be {words}."
    unknown = _UNKNOWN.fullmatch(wrong)
    if unknown:
        at = f"{place}.{unknown[1]}" if _PLAIN_NAME.fullmatch(unknown[1]) else place
        return at, _about_unknown(unknown[1], kind, what)
    return place, _about_value(wrong, place, kind, into, texts)


def explain_json(sentence: str, text: bytes) -> str:
    """Say where a text stops being JSON, and what was expected there."""
    if not text.strip():
        return "there is nothing in it"
    malformed = _MALFORMED.fullmatch(sentence)
    if not malformed:
        return "it ends before it is complete"
    place = int(malformed[2]) - (malformed[1] in _TOLD_ONE_BYTE_LATE)
    words = _WORDS_OF_JSON_ERRORS.get(malformed[1], _ANY_VALUE)
    if malformed[1] == "invalid character" and b"" < text[place : place + 1] < b" ":
        words = r"a control character was found in a string, and must be escaped, such as \n"
    return f"at byte {place}, {words}"


def _taken_apart(sentence: str, into: inspect.Type) -> tuple[str, str, inspect.Type]:
    """What is wrong, the path to it, and its type. What was sent may look like a path, so the type has to have it."""
    at = _AT.fullmatch(sentence)
    kind = into
    for name, index in _STEP.findall(at["place"] if at else ""):
        kind = _inside(kind, name or index)
    if at is None or (_UNKNOWN.match(sentence) and not (_UNKNOWN.fullmatch(at["wrong"]) and [*_structs(kind)])):
        return sentence, "", into
    if at["key"]:
        kind = next(arm.key_type for arm in _arms(kind) if isinstance(arm, inspect.DictType))
    return at["wrong"], at["place"], kind


def _about_unknown(name: str, kind: inspect.Type, what: str) -> str:
    known = [*dict.fromkeys(_names(kind))]
    hint = _hint(kind, name) or _did_you_mean(name, known)
    shown = [f"{each}.…" if _holds_more(kind, each, what) else each for each in known]
    here = f"The {what}s here are {_listed(shown, 'and')}." if known else f"There are no {what}s here."
    return " ".join(filter(None, [f"Unknown {what} `{_shown(name)}`.", hint, here]))


def _about_value(wrong: str, place: str, kind: inspect.Type, into: Any, texts: dict[str, str] | None) -> str:
    words = _words(kind, with_null=texts is None)
    got, value = _GOT.fullmatch(wrong), _VALUE.fullmatch(wrong)
    sent = texts[place[1:]] if texts is not None else value[1] if value else None
    is_not, hint = "", None
    if sent is not None:
        sent_kind = "int" if sent.isdecimal() else "str"
        if _PLAIN_VALUE.fullmatch(sent):
            is_not = f", not `{sent}`" if sent else ", and is empty"
            hint = _did_you_mean(sent, [each for arm in _arms(kind) for each in _choices(arm)])
    else:
        sent_kind = got[1] if got else ""
        if sent_kind == "float" and "number" in words:
            is_not = ", not one with a fraction or an exponent"
        elif sent_kind in _KINDS_IN_JSON:
            is_not = f", not {_KINDS_IN_JSON[sent_kind]}"
    for owner in (into.__name__ if isinstance(into, type) else str(into), ""):
        hint = hint or ABOUT_VALUES.get((owner, place[1:], sent_kind))
    return f"Must be {words}{is_not}." + (f" {hint}" if hint else "")


@lru_cache
def _type_info(into: Any) -> inspect.Type:
    return inspect.type_info(into)


def _arms(kind: inspect.Type) -> Iterator[Any]:
    """The types that a value may have, without what is said about them."""
    if isinstance(kind, inspect.Metadata):
        yield from _arms(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _arms(each)
    else:
        yield kind


def _structs(kind: inspect.Type) -> Iterator[inspect.StructType]:
    return (arm for arm in _arms(kind) if isinstance(arm, inspect.StructType))


def _names(kind: inspect.Type) -> Iterator[str]:
    """The fields of an object."""
    for struct in _structs(kind):
        if struct.tag_field is not None:
            yield struct.tag_field
        yield from (field.encode_name for field in struct.fields)


def _holds_more(kind: inspect.Type, name: str, what: str) -> bool:
    """Whether it is query parameters that this name begins, each with a dot after it."""
    return what == _QUERY_PARAMETER and any(isinstance(arm, inspect.DictType) for arm in _arms(_inside(kind, name)))


def _inside(kind: inspect.Type, step: str) -> inspect.Type:
    """The type of a field, or of an item."""
    tags = [struct.tag for struct in _structs(kind) if step == ("0" if struct.array_like else struct.tag_field)]
    if any(tag is not None for tag in tags):
        return inspect.LiteralType(tuple(tags))
    for arm in _arms(kind):
        before = 1 if getattr(arm, "tag", None) is not None else 0
        for index, field in enumerate(getattr(arm, "fields", ()), before):
            if step in (getattr(field, "encode_name", field.name), str(index)):
                return field.type  # type: ignore[no-any-return]
        for part in ("item_type", "value_type"):
            if hasattr(arm, part):
                return getattr(arm, part)  # type: ignore[no-any-return]
        if isinstance(arm, inspect.TupleType):
            return arm.item_types[int(step)]
    return inspect.AnyType()


def _words(kind: inspect.Type, *, with_null: bool = True) -> str:
    """What a value must be. In a query null cannot be said."""
    if isinstance(kind, inspect.Metadata):
        words: str | None = (kind.extra or {}).get("words")
        return words or _words(kind.type, with_null=with_null)
    if isinstance(kind, inspect.UnionType):
        parts = [_words(each) for each in kind.types if with_null or not isinstance(each, inspect.NoneType)]
        *first, last = dict.fromkeys(parts)
        return ", ".join([*first, f"or {last}"]) if first else last
    choices = _choices(kind)
    if choices:
        return _listed(choices, "or")
    if type(kind) in _OF_LENGTH:
        return _of_length(kind)
    return _number(kind) if isinstance(kind, inspect.IntType | inspect.FloatType) else _of_parts(kind)


def _choices(kind: inspect.Type) -> list[str]:
    if isinstance(kind, inspect.LiteralType):
        return [str(value) for value in kind.values]
    return [str(member.value) for member in kind.cls] if isinstance(kind, inspect.EnumType) else []


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    words = ["a whole number" if isinstance(kind, inspect.IntType) else "a number"]
    if kind.ge is not None and kind.le is not None:
        words.append(f"from {kind.ge} to {kind.le}")
    elif kind.ge is not None or kind.le is not None:
        words.append(f"of {kind.ge} or more" if kind.ge is not None else f"of {kind.le} or less")
    words += [f"{phrase} {bound}" for phrase, bound in (("above", kind.gt), ("below", kind.lt)) if bound is not None]
    if kind.multiple_of is not None:
        words.append(f"that is a multiple of {kind.multiple_of}")
    return " ".join(words)


def _of_length(kind: Any) -> str:
    noun, part = _OF_LENGTH[type(kind)]
    pattern = getattr(kind, "pattern", None)
    words = noun + _length(kind.min_length, kind.max_length, part)
    return words if pattern is None else f"{words} that matches {pattern}"


def _of_parts(kind: Any) -> str:
    """What has fields or items, or is one word."""
    if isinstance(kind, inspect.TupleType):
        return f"an array of {_counted(len(kind.item_types), 'item')}"
    if not hasattr(kind, "fields"):
        return _SIMPLE.get(type(kind), "another value")
    if not (isinstance(kind, inspect.NamedTupleType) or getattr(kind, "array_like", False)):
        return "an object"
    tags = 1 if getattr(kind, "tag", None) is not None else 0
    is_closed = getattr(kind, "forbid_unknown_fields", True)
    least = tags + sum(field.required for field in kind.fields)
    return "an array" + _length(least, tags + len(kind.fields) if is_closed else None, "item")


def _length(least: int | None, most: int | None, part: str) -> str:
    if least and most is not None:
        return f" of {_counted(most, part) if least == most else f'{least} to {_counted(most, part)}'}"
    if least or most is not None:
        return f" of at {f'least {_counted(least, part)}' if least else f'most {_counted(most or 0, part)}'}"
    return ""


def _counted(count: int, part: str) -> str:
    return f"{count} {part}" if count == 1 else f"{count} {part}s"


def _hint(kind: inspect.Type, name: str) -> str | None:
    """What to send instead of a field that is often taken for one of ours."""
    classes = [base.__name__ for struct in _structs(kind) for base in struct.cls.__mro__]
    hints = (ABOUT_FIELDS.get(owner, {}).get(_folded(name)) for owner in [*classes, ""])
    return next(filter(None, hints), None)


def _did_you_mean(sent: str, known: list[str]) -> str | None:
    by_folded = {_folded(name): name for name in known}
    meant = MEANT_ROLES.get(_folded(sent))
    if meant not in known:
        meant = next((by_folded[near] for near in get_close_matches(_folded(sent), by_folded, 1, _NEAR)), None)
    return f"Did you mean `{meant}`?" if meant else None


def _folded(name: str) -> str:
    """A name as others may write it: `is_archived`, `Is-Archived` and `isArchived` are one."""
    return name[:_NAME_CHARACTERS_MAX].replace("_", "").replace("-", "").casefold()


def _shown(name: str) -> str:
    shown = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", name[:_NAME_CHARACTERS_MAX])
    return shown + "…" if len(name) > _NAME_CHARACTERS_MAX else shown


def _listed(names: list[str], word: str) -> str:
    *first, last = (f"`{name}`" for name in names)
    return f"{', '.join(first)} {word} {last}" if first else last
