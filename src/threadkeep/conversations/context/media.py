"""Images, files and recordings, in the forms of everybody."""

from typing import Any

from threadkeep.conversations.context.parts import Media, Part, Read, Reader, Text, Unknown, dict_in, given, string

_DATA = "data:"


def read_source(block: dict[str, Any], read: Read) -> list[Part]:
    """`image` and `document` of Anthropic, whose `source` says where it is."""
    source = dict_in(block, "source")
    native = given(block, "type", "source", "title", "context", "cache_control")
    if source.get("type") == "text":
        return [Text(text=string(source.get("data")), of="anthropic", native=native)]
    if block["type"] == "file":  # of ours, which no provider has
        return [_media(source)]
    return [_media(source, block, "image/png", of="anthropic", native=native)]


def read_chat(block: dict[str, Any], read: Read) -> list[Part]:
    """`image_url`, `input_audio` and `file` of chat completions."""
    inner, media_type = block.get(block["type"]), "image/png" if block["type"] == "image_url" else ""
    if not isinstance(inner, dict):  # LangChain has a string as well
        return [_media({"url": inner}, media_type=media_type)]
    if block["type"] == "input_audio":
        media_type = f"audio/{string(inner.get('format')) or 'wav'}"
    native = {"type": block["type"], block["type"]: given(inner)}
    return [_media(inner, media_type=media_type, of="openai-chat", native=native)]


def read_item(block: dict[str, Any], read: Read) -> list[Part]:
    """`input_image` and `input_file` of Responses."""
    media_type = "image/png" if block["type"] == "input_image" else ""
    return [_media(block, media_type=media_type, of="openai-responses", native=given(block))]


def read_plain(block: dict[str, Any], read: Read) -> list[Part]:
    """`file` of the AI SDK, `image`, `audio` and `file` of LangChain, and ours."""
    for reads, name in ((read_source, "source"), (read_chat, block["type"])):
        if isinstance(block.get(name), dict):
            return reads(block, read)
    return [_media(block, media_type={"image": "image/png", "audio": "audio/wav"}.get(block["type"], ""))]


def _media(where: dict[str, Any], block: dict[str, Any] | None = None, media_type: str = "", **native: Any) -> Part:
    """The media of which a part of a block says where it is."""
    media_type = string(_first(where, "media_type", "mediaType", "mime_type", "mimeType")) or media_type
    url = string(_first(where, "url", "image_url", "file_url", "file_data"))
    data = string(_first(where, "data", "base64"))
    if url.startswith(_DATA):
        head, _, data = url.partition(",")
        media_type, url = head[len(_DATA) :].partition(";")[0] or media_type, ""
    if not (url or data or native):
        return Unknown()
    name = string(_first(where, "filename", "name")) or string((block or {}).get("title"))
    return Media(media_type=media_type, url=url, data=data, name=name, **native)


def _first(block: dict[str, Any], *names: str) -> Any:
    return next((block[name] for name in names if block.get(name)), None)


def data_url(media: Media) -> str:
    """Where a model finds it: its URL, or its bytes as one."""
    return media.url or f"{_DATA}{media.media_type or 'application/octet-stream'};base64,{media.data}"


READ: dict[str, Reader] = {
    **dict.fromkeys(("image", "file", "audio"), read_plain),
    "document": read_source,
    **dict.fromkeys(("image_url", "input_audio"), read_chat),
    **dict.fromkeys(("input_image", "input_file"), read_item),
}
