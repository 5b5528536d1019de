"""Guards of statements of branches that nobody misses, each with its reason. Those of pages are the same everywhere."""

_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_ASKED_ONCE = "It only spares looking at each message: of whatever it lets in, the same is asked again, and guarded."
_NEVER_SAID = "A page goes forward from where a path begins to where it ends, and is never told what to go up from."
SUPERFLUOUS = {
    **dict.fromkeys(
        (
            *("list_path_before-m-22", "list_path_after-m-23"),
            *("list_large_path_before-m-22", "list_large_path_after-m-23"),
        ),
        _BY_PLACE,
    ),
    **dict.fromkeys(
        (
            *("list_messages_before-cut-3", "list_messages_before-f-11", "list_messages_after-cut-2"),
            *("list_messages_after-f-10", "list_large_messages_before-cut-3", "list_large_messages_after-cut-2"),
        ),
        _ASKED_ONCE,
    ),
    **dict.fromkeys(
        (
            *("list_path_after-fork-1", "list_path_after-fork-2", "list_path_after-m-3"),
            *("list_large_path_after-fork-1", "list_large_path_after-fork-2", "list_large_path_after-m-3"),
        ),
        _NEVER_SAID,
    ),
    **dict.fromkeys(
        (
            *("list_messages_after-followed-4", "list_messages_after-part-5", "list_messages_after-part-6"),
            *("list_messages_after-part-7", "list_messages_after-part-8", "list_messages_after-d-9"),
            *("list_large_messages_after-followed-4", "list_large_messages_after-part-5"),
            *("list_large_messages_after-part-6", "list_large_messages_after-part-7"),
            *("list_large_messages_after-part-8", "list_large_messages_after-d-9"),
            *("list_path_after-followed-12", "list_path_after-part-13", "list_path_after-part-14"),
            *("list_path_after-part-15", "list_path_after-part-16", "list_path_after-d-17"),
            *("list_large_path_after-followed-12", "list_large_path_after-part-13"),
            *("list_large_path_after-part-14", "list_large_path_after-part-15"),
            *("list_large_path_after-part-16", "list_large_path_after-d-17"),
        ),
        "Only the first page that goes backward has drafts.",
    ),
    "cut_verdict-c-6": "It is asked in a conversation of the user's that is not deleted.",
    "remove_drafts_of_swept_3-d-1": _BY_PLACE,
    "remove_drafts_of_swept_3-d-2": _IN_LIST,
    "fork_at_links-fork-5": "A message follows an older one, whoever's it is, and so no sibling is the next one.",
    "restore_verdict-whole-2": "It asks whether there is any deletion of a change, and the user's own is there.",
    "touch_messages_of_cut-whole-3": "It only spares looking at messages before a deletion, which are not in it.",
    "touch_conversation_of_cut-cut-16": "Where the user has no such deletion, it has no parent either.",
}
ON_SQLITE = {
    "search_active-m-17": _BY_PLACE,
    "remove_drafts_of_swept_4-d-1": _BY_PLACE,
    "remove_drafts_of_swept_4-d-2": _IN_LIST,
    **dict.fromkeys(
        ("search_active-fork-12", "search_active-cut-13", "search_active-cut-14", "search_active-fork-15"),
        "It looks for what follows a hit that is not on the active path, where all of these are on it.",
    ),
}
ON_POSTGRES: dict[str, str] = {}
