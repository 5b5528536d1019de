"""The types of the API as JSON Schema from which generators make types that people like to use.

msgspec describes the structs. What it cannot know is said here: what the JSON that is passed on is made of, which
values have a name, and that a default is for the server, so that no client has to send it.
"""

from typing import Any, get_args

import msgspec
from msgspec import Struct

from threadkeep.conversations.models import BLOCKS, METADATA_BYTES_MAX, Role, TitleSource
from threadkeep.http.descriptions import FIELDS, REASONS
from threadkeep.http.problems import STATUS

Schema = dict[str, Any]

CODES = {**STATUS, "internal": 500}
"""The status of every code of an error; `internal` is a defect of ours, which nobody raises."""

OTHER_BLOCKS = (
    *("reasoning", "source-url", "source-document", "step-start", "dynamic-tool"),  # AI SDK
    *("input_text", "output_text", "refusal", "image_url", "input_image", "input_audio", "input_file"),  # OpenAI
    *("function_call", "function_call_output"),
    *("redacted_thinking", "document", "search_result", "server_tool_use", "web_search_tool_result"),  # Anthropic
)
"""Types of blocks that providers have, and that are kept as they come. There may be any others: these have a name, so
that a client in TypeScript can tell them from those that are checked."""

_NAMED = {"Role": get_args(Role), "TitleSource": get_args(TitleSource)}
_WITH_CODE = ("ErrorBody", "Refusal")


class ErrorBody(Struct, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    """What is wrong and what to do, for people."""
    details: dict[str, Any] | None = None


class ErrorResponse(Struct):
    """Every error has this form. `code` is for programs, `message` is for people."""

    error: ErrorBody


def reference(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas_of(types: list[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """The schema of each type, and the components that these refer to."""
    schemas, described = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    components = {name: natural(schema) for name, schema in described.items()}
    components |= {name: {"title": name, "type": "string", "enum": list(values)} for name, values in _NAMED.items()}
    components |= _OPEN
    _describe_blocks(components)
    _describe_errors(components)
    for component in components.values():
        metadata = component.get("properties", {}).get("metadata")
        if metadata is not None and "propertyNames" not in str(metadata):  # OpenAI's has names and texts of a length
            is_nullable = metadata.get("type") != "object"
            component["properties"]["metadata"] = _or_null(_METADATA) if is_nullable else _METADATA
    components["Changes"]["properties"]["conversations"]["items"] = {
        "anyOf": [reference("Conversation"), reference("Tombstone")]
    }
    return dict(zip(types, map(natural, schemas), strict=True)), components


def natural(schema: Schema) -> Schema:
    """The same schema, in the words that generators understand best."""
    for name, values in _NAMED.items():
        if set(schema.get("enum", ())) == set(values):
            return reference(name)
    result: Schema = {}
    for keyword, value in schema.items():
        match keyword:
            case "properties":
                result[keyword] = {field: _field(field, natural(each)) for field, each in value.items()}
            case "anyOf":
                result[keyword] = [natural(each) for each in value]
            case "items" | "additionalProperties" if isinstance(value, dict):
                result[keyword] = natural(value)
            case "enum" if len(value) == 1:
                result["const"] = value[0]
            case _:
                result[keyword] = value
    if result.get("type") == "object" and "properties" not in result:
        result.setdefault("additionalProperties", True)
    return result


def _field(name: str, schema: Schema) -> Schema:
    """A field of a body, described. Where a default is named, generators have every client send the field."""
    described = {keyword: value for keyword, value in schema.items() if keyword != "default"}
    if name in FIELDS and not described.keys() & {"$ref", "description"}:
        form = "Unix milliseconds" if "integer" in str(schema) else "ISO 8601"
        time = f" In {form}." if name.endswith("At") else ""
        described["description"] = FIELDS[name] + time
    return described


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_METADATA = reference("Metadata")
_OPEN: dict[str, Schema] = {
    "JsonObject": {
        "title": "JsonObject",
        "description": "Any JSON object.",
        "type": "object",
        "additionalProperties": True,
    },
    "Metadata": {
        "title": "Metadata",
        "description": f"Your own fields: any JSON object of at most {METADATA_BYTES_MAX} bytes as JSON.",
        "type": "object",
        "additionalProperties": True,
    },
}


def _describe_blocks(components: dict[str, Schema]) -> None:
    """Say what a content is made of. The types cannot: to them it is JSON that is passed on.

    What is read is told apart by `type`. What is sent may be of any `type`: in TypeScript, a text that may be anything
    is no discriminator, so there are two unions.
    """
    for block in BLOCKS.values():
        properties = components[block.__name__]["properties"]
        components[block.__name__]["additionalProperties"] = True
        for field in properties.keys() & {"input", "source"}:
            is_nullable = "anyOf" in properties[field]
            properties[field] = _or_null(reference("JsonObject")) if is_nullable else reference("JsonObject")
    other: Schema = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "minLength": 1, "not": {"enum": list(BLOCKS)}}},
        "additionalProperties": True,
    }
    known = [reference(block.__name__) for block in BLOCKS.values()]
    components["OtherBlock"] = {
        "title": "OtherBlock",
        "description": "A block of a type that is not checked. It comes back as it was sent.",
        **other,
    }
    components["NewOtherBlock"] = {
        "title": "NewOtherBlock",
        "description": "A block of any other type. It is kept as it is.",
        **other,
    }
    components["Block"] = {
        "title": "Block",
        "description": "A part of a message. `type` tells which; any further fields are kept.",
        "oneOf": [*known, reference("OtherBlock")],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                **{kind: reference(block.__name__)["$ref"] for kind, block in BLOCKS.items()},
                **{kind: reference("OtherBlock")["$ref"] for kind in OTHER_BLOCKS},
            },
            "x-defaultMapping": reference("OtherBlock")["$ref"],
        },
    }
    components["NewBlock"] = {
        "title": "NewBlock",
        "description": "A part of a message to store: of a known `type`, or of any other.",
        "anyOf": [*known, reference("NewOtherBlock")],
    }
    components["Message"]["properties"]["content"]["items"] = reference("Block")
    for name in ("NewMessage", "DocumentMessage"):
        components[name]["properties"]["content"]["items"] = reference("NewBlock")


def _describe_errors(components: dict[str, Schema]) -> None:
    """Name the codes, and what may be in `details`."""
    components["ErrorCode"] = {"title": "ErrorCode", "type": "string", "enum": list(CODES)}
    texts = {"type": "array", "items": {"type": "string"}}
    details: Schema = {
        "title": "ErrorDetails",
        "description": "More about an error, for programs: the fields that its code has, and maybe others.",
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "ids": texts,
            "reason": {
                "type": "string",
                "enum": [*REASONS],
                "description": "Why a `conflict` or something `stale` is one, where there are several reasons.",
            },
            "conversation": {"anyOf": [reference("Conversation")]},
            "message": {"anyOf": [reference("Message")]},
            "messageCount": {"type": "integer"},
            "version": {"type": "integer"},
            "nextProducerSeq": {"type": "integer"},
            "allow": texts,
            "acceptEncoding": texts,
            "requestId": {"type": "string"},
        },
        "additionalProperties": True,
    }
    components["ErrorDetails"] = natural(details)
    for name in _WITH_CODE:
        components[name]["properties"]["code"] = reference("ErrorCode")
        components[name]["properties"]["details"] = reference("ErrorDetails")
    components["ErrorResponse"]["examples"] = [
        {
            "error": {
                "code": "invalid",
                "message": "isArchived: Must be true or false, or null, not a string.",
                "details": {"path": "isArchived"},
            }
        }
    ]
