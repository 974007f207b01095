"""What the chapter *Rerun it with your checkpoint* says of a message."""

import re

from lib.adopt.table import CHAPTER


def fragments():
    """The messages in the chapter's table of errors, each in the pieces around its dots."""
    table = CHAPTER.read_text().split("## What an error means")[1].split("\n## ")[0]
    for row in re.findall(r"^\| (.*?) \| ", table, re.M):
        for message in re.findall(r"`([^`]+)`", row):
            yield [piece.strip() for piece in message.split("…") if piece.strip()]


def explained(message):
    """Whether a row of the table has the pieces of this message, in order."""
    return any(
        re.search(".*".join(re.escape(piece) for piece in pieces), message)
        for pieces in fragments()
    )
