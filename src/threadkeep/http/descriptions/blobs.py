"""What is said of the operations on blobs. Their examples are one story, too."""

from threadkeep.http.descriptions.operation import AGENT_STATE, Operation

BLOBS: dict[str, Operation] = {
    "put_blob": Operation(
        tag=AGENT_STATE,
        answers={
            201: "The blob is new: what is known of it.",
            200: "It was there already: what is known of it.",
        },
        request=b"hello",
        response={
            "space": "sessions",
            "key": "alice/1",
            "digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "size": 5,
            "mediaType": "application/octet-stream",
            "meta": {},
            "createdAt": 1795176819164,
            "expiresAt": None,
        },
    ),
    "get_blob": Operation(
        tag=AGENT_STATE,
        answers={200: "The bytes, with the media type that they came with."},
    ),
    "delete_blob": Operation(tag=AGENT_STATE, answers={204: "The blob is deleted."}),
}
