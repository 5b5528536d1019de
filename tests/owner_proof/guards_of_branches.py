"""Guards of statements of branches that nobody misses, each with its reason. Those of pages are the same everywhere."""

_BY_PLACE = "It takes rows by `n`, which names one, and has `n` from a list that is guarded."
_IN_LIST = "Whatever this would let into the list of `n`, the rows that are taken by it are guarded as well."
_EITHER = "What is listed is joined with what it is of by `n`, which names one, and either is tied to the user."
_ON_PATH = "It looks for what follows a hit that is not on the active path, where all of these are on it."
_NO_PARTS = "Of a draft that is settled, no parts are left."
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
    "fork_at_links-fork-5": "A message follows an older one, whoever's it is, and so no sibling is the next one.",
    "restore_verdict-whole-2": "It asks whether there is any deletion of a change, and the user's own is there.",
    "touch_messages_of_cut-whole-3": "It only spares looking at messages before a deletion, which are not in it.",
}
# Where Postgres finds more than one row for a value, it fails.
ON_SQLITE = {
    "cut_verdict-c-7": "It is asked in a conversation of the user's that is not deleted.",
    "touch_conversation_of_cut-cut-20": "Where the user has no such deletion, it has no parent either.",
    "search_active-m-17": _BY_PLACE,
    **dict.fromkeys(("remove_drafts_of_swept_3-d-1", "remove_drafts_of_swept_4-d-1"), _BY_PLACE),
    **dict.fromkeys(
        (
            *("remove_drafts_of_swept_3-d-2", "remove_drafts_of_swept_3-d-4"),
            *("remove_drafts_of_swept_4-d-2", "remove_drafts_of_swept_4-d-4"),
        ),
        _IN_LIST,
    ),
    **dict.fromkeys(("remove_drafts_of_swept_1-c-5", "remove_drafts_of_swept_2-c-5"), _NO_PARTS),
    **dict.fromkeys(
        ("search_active-fork-12", "search_active-cut-13", "search_active-cut-14", "search_active-fork-15"),
        _ON_PATH,
    ),
}
ON_POSTGRES = {
    "search_active-m-19": _BY_PLACE,
    **dict.fromkeys(
        ("search_active-fork-14", "search_active-cut-15", "search_active-cut-16", "search_active-fork-17"),
        _ON_PATH,
    ),
    **dict.fromkeys(("search_active-w-1", "search_active-w-2", "search_active-m-3", "search_active-c-6"), _EITHER),
    "remove_drafts_of_swept_2-d-1": _BY_PLACE,
    **dict.fromkeys(("remove_drafts_of_swept_2-d-2", "remove_drafts_of_swept_2-d-4"), _IN_LIST),
    "remove_drafts_of_swept_1-c-5": _NO_PARTS,
}
