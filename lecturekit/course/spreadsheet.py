"""Tables that a spreadsheet opens, and gives back in its own way.

The trap: a spreadsheet runs a field that begins with ``=``, and one in German writes semicolons and decimal commas.
"""

import csv
import io
from pathlib import Path

from lecturekit.errors import InputError
from lecturekit.files import replacing

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a field begins that a spreadsheet runs


def write(path, columns, rows):
    """Write dicts as CSV; a field that a spreadsheet would take for a formula is quoted with an apostrophe."""
    with replacing(path) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)


def read(path, columns):
    """Return the rows of a table as dicts of words, whatever spreadsheet it has been through.

    Args:
        path: of the file; no file, no rows.
        columns: those that it must have.
    Raises: InputError if one is missing.
    """
    if not Path(path).exists():
        return []
    data = Path(path).read_bytes()
    try:
        words = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        words = data.decode("cp1252", "replace")
    first = words.partition("\n")[0]
    try:
        found = csv.DictReader(io.StringIO(words, newline=""), delimiter=max(",;\t", key=first.count))
        rows = [{name: bare(value or "") for name, value in row.items() if name} for row in found]
    except csv.Error as problem:
        raise InputError(f"{path} is no table: {problem}") from None
    if missing := [name for name in columns if name not in (found.fieldnames or ())]:
        raise InputError(f"{path} has no column {', '.join(missing)}; its first line is {first.strip()[:200]!r}")
    return rows


def harmless(words):
    """Return words that no spreadsheet runs."""
    return f"'{words}" if words[:1] in FORMULA else words


def bare(words):
    """Return words without the apostrophe of `harmless`."""
    return words[1:] if words[:1] == "'" and words[1:2] in FORMULA else words
