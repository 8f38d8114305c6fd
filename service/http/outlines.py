"""The outline of a large JSON body: what is left when each run of plain objects is cut down to its first one.

Pydantic keeps every fault of a body with the value it is about: one of 16 MiB can hold a million unknown members, or
lack members and be quoted whole for each, which takes ten seconds and gigabytes. A large body is large by one list of
plain objects, tensors or trials. So its outline is small, and is validated first. If that holds, faults can only be in
the list, whose first one ends the validation. Finding the outline copies nothing but what it keeps.
"""

import re

from service.errors import BodyTooLargeError, MalformedRequestError

MAX_OUTLINE = 1 << 16  # bytes (chosen): everything but the list takes a few hundred
MAX_ITEM = 1 << 14  # bytes (chosen): a tensor whose two names of 300 characters are all escapes takes 9,000
MAX_ITEMS = 200_000  # chosen: twice what any list takes, so that mostly the list's own bound is the one that answers

#: Possessive throughout (`*+`): nothing is tried twice, so the time is linear in the body's length.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'(?:[^"{}\[\]]++|%s)*+' % _TEXT
_PLAIN = rb'\{(?:[^"{}\[\]]++|%s|\[%s\])*+\}' % (_TEXT, _FLAT)
#: In this order they take every byte of any body, and no text is ever entered in its middle.
_TOKEN = re.compile(rb"(?P<item>%s)(?P<tail>\s*+,?+\s*+)|(?P<rest>%s|[^\"{]++|\{)|(?P<open>\")" % (_PLAIN, _TEXT), re.S)


def outline(body: bytes) -> bytes:
    """Return a JSON body without any plain object that directly follows another one, so without a list's later items.

    A plain object holds scalars and lists of them. The outline is valid JSON if the body is.
    Raises BodyTooLargeError (413) where it takes more than MAX_OUTLINE, an item more than MAX_ITEM or there are more
    than MAX_ITEMS, and MalformedRequestError (400) for a text without an end.
    """
    kept: list[bytes] = []
    size = items = 0
    tail: bytes | None = None  #: what stood behind the item before, if it was one
    for token in _TOKEN.finditer(body):
        if token["item"] is not None:
            items += 1
            if len(token["item"]) > MAX_ITEM or items > MAX_ITEMS:
                raise BodyTooLargeError(
                    f"One of the body's objects takes more than {MAX_ITEM} bytes, or there are more than {MAX_ITEMS}; "
                    "no list takes such, see the schema at /docs."
                )
            found = b"" if tail is not None else token["item"]
            tail = token["tail"]
        elif token["open"] is not None:
            raise MalformedRequestError("The body is not JSON: a text in it has no end.")
        else:
            found = (tail or b"") + token["rest"].strip()
            tail = None
        size += len(found)
        if size > MAX_OUTLINE:
            raise BodyTooLargeError(
                f"More than {MAX_OUTLINE} bytes of the body are outside its list of tensors or trials: send less there."
            )
        kept.append(found)
    return b"".join(kept) + (tail or b"")
