"""Tables a person can read: rows that print as aligned text and show as a table in a notebook.

A list of named tuples stays a list of named tuples; only the way it shows itself changes.
"""

import html


class Table(list):
    """A list of named tuples, all of one kind, that shows itself as a table.

    Attributes:
        columns: the names of the fields, in order; an underscore is shown as a space.
    """

    def __init__(self, rows, columns=()):
        super().__init__(rows)
        self.columns = tuple(columns) or (self[0]._fields if self else ())

    def __repr__(self):
        """Return the rows as text in columns, numbers to the right."""
        cells = [[_title(name) for name in self.columns], *[[_text(value) for value in row] for row in self]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        right = [isinstance(value, int | float) for value in self[0]] if self else [False] * len(widths)
        lines = [
            "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True))
            for line in cells
        ]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self):
        """Return the rows as an HTML table; everything in it is escaped."""
        head = "".join(f"<th style='text-align:left'>{html.escape(_title(name))}</th>" for name in self.columns)
        body = ""
        for row in self:
            side = ("right" if isinstance(value, int | float) else "left" for value in row)
            pairs = zip(side, row, strict=True)
            body += "<tr>" + "".join(f"<td style='text-align:{s}'>{html.escape(_text(v))}</td>" for s, v in pairs)
            body += "</tr>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _title(name):
    """Return ``top_1`` as ``top 1``."""
    return name.replace("_", " ")


def _text(value):
    """Return a value as a person writes it: 61,100,840 and nothing for None."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
