"""How a claim is written down, measured, stored and shown.

A claim is a sentence and a function that returns named numbers, each an `Interval` with its N.  Whether it holds is
decided by a rule that was written before the numbers; a claim that does not hold is shown as such, in the same place.

The numbers that notebooks show are those of ``claims.json``, measured once on all pictures.  The tests measure again,
on fewer pictures, and hold every rule.
"""

import dataclasses
import html
import importlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from lecturekit.errors import FileError, unknown
from lecturekit.files import replacing
from lecturekit.measure import Interval
from lecturekit.progress import Step, stopped

STORED = Path(__file__).parent / "claims.json"
SECTIONS = (
    "lecturekit.claims.inversion",
    "lecturekit.claims.deconv",
    "lecturekit.claims.features",
    "lecturekit.claims.adversarial",
    "lecturekit.claims.why",
    "lecturekit.claims.reveal",
    "lecturekit.claims.robust",
    "lecturekit.claims.privacy",
    "lecturekit.claims.privacy_gradients",
    "lecturekit.claims.privacy_models",
    "lecturekit.claims.privacy_real",
)  # one module of entries for each part of the lecture
_registered = {}


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that must be true, and how to find out.

    Attributes:
        id: short name, e.g. ``"inversion-depth"``.
        sentence: the claim, in the course's words.
        notebook: where it is shown.
        threshold: the rule in words.
        holds: the rule itself, from {name: Interval} to bool.
        numbers: (count of pictures or nothing) -> {name: Interval}.
    """

    id: str
    sentence: str
    notebook: str
    threshold: str
    holds: Callable
    numbers: Callable


@dataclasses.dataclass(frozen=True)
class Entry:
    """A claim, measured."""

    id: str
    sentence: str
    notebook: str
    threshold: str
    how: str
    numbers: dict[str, Interval]
    holds: bool
    seconds: float

    def _repr_html_(self):
        """Return the entry as a small table for a notebook."""
        verdict = "holds" if self.holds else "does NOT hold"
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td><td>{value}</td><td>{value.n}</td></tr>"
            for name, value in self.numbers.items()
        )
        return (
            f"<div style='border-left:4px solid #0072B2; padding-left:12px'><p><b>{html.escape(self.sentence)}</b><br>"
            f"Rule: {html.escape(self.threshold)}. It <b>{verdict}</b>.</p>"
            "<table><tr><th style='text-align:left'>measured</th><th>value [95 % interval]</th><th>N</th></tr>"
            f"{rows}</table>"
            f"<p style='font-size:90%'>Claim <code>{self.id}</code>: {html.escape(self.how)}</p></div>"
        )

    def __repr__(self):
        """Return the entry as lines of text."""
        lines = [self.sentence, f"  rule: {self.threshold}: {'holds' if self.holds else 'DOES NOT HOLD'}"]
        return "\n".join(lines + [f"  {name}: {value} (N={value.n})" for name, value in self.numbers.items()])


def claim(id, sentence, *, notebook, threshold, holds):
    """Register the decorated function as the measurement of a claim; its docstring says how it measures."""

    def register(numbers):
        if id in _registered and _registered[id].numbers.__qualname__ != numbers.__qualname__:
            raise ValueError(f"two claims are named {id!r}")
        _registered[id] = Claim(id, sentence, notebook, threshold, holds, numbers)
        return numbers

    return register


def known():
    """Return all claims by id, in the order of the lecture."""
    for section in SECTIONS:
        importlib.import_module(section)
    return dict(_registered)


def measure(id, **size):
    """Measure one claim now.

    Args:
        id: one of `known`.
        size: ``count=8`` measures on eight pictures instead of all.
    Returns: an `Entry`.
    Raises: InputError for an unknown id.
    """
    if id not in known():
        raise unknown("claim", id, known())
    found, began = _registered[id], time.monotonic()
    numbers = found.numbers(**size)
    how = " ".join(found.numbers.__doc__.strip().split("\n\n")[0].split())
    return Entry(id, found.sentence, found.notebook, found.threshold, how, numbers, bool(found.holds(numbers)),
                 round(time.monotonic() - began, 1))  # fmt: skip


def measure_all(ids=None, *, watch=None):
    """Measure several claims (all if None) and return their entries; ``watch`` may stop between two of them."""
    entries, ids = [], list(ids or known())
    for done, id in enumerate(ids):
        if stopped(watch, Step(done, len(ids), note=id)):
            break
        entries.append(measure(id))
    return entries


def write(entries, path=STORED):
    """Write entries as JSON, replacing those of the same id and keeping the others."""
    all_entries = {entry.id: entry for entry in stored(path).values()} if Path(path).exists() else {}
    all_entries |= {entry.id: entry for entry in entries}
    order = [id for id in known() if id in all_entries]
    rows = shortened([dataclasses.asdict(all_entries[id]) for id in order])
    text = re.sub(r"\{\s+(\"estimate\"[^{}]*?)\s+\}", on_one_line, json.dumps(rows, indent=1, ensure_ascii=False))
    with replacing(path) as temporary:
        Path(temporary).write_text(text + "\n", "utf-8")


def shortened(value):
    """Return what JSON can hold with nine digits a number: more than any of them means, and a file a tenth smaller."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    return [shortened(each) for each in value] if isinstance(value, list | tuple) else value


def on_one_line(number):
    """Return a number with its interval as one line instead of seven."""
    return "{" + " ".join(number[1].split()) + "}"


def stored(path=STORED):
    """Return the entries of a ledger file by id.

    Raises: FileError if it is not a ledger.
    """
    try:
        rows = json.loads(Path(path).read_text("utf-8"))
        entries = [
            Entry(**row | {"numbers": {name: Interval(**value) for name, value in row["numbers"].items()}})
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise FileError(
            f"{path} is not a claim ledger ({problem}); `lecturekit claims --json FILE` writes one"
        ) from None
    return {entry.id: entry for entry in entries}


def show(id):
    """Return the stored entry of a claim, which a notebook displays as a table.

    Raises: InputError for an unknown id.
    """
    entries = stored()
    if id not in entries:
        raise unknown("measured claim", id, entries)
    return entries[id]
