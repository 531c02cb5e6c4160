"""One page for one student: what was asked, what came, the hint; everything a student wrote is shown as text.

The page holds no script, loads nothing, and forbids both; what came from a submission is escaped.  Hidden tests are not
on it: the question and the hint are, which is what a student learns from.
"""

import html

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:2em auto;padding:0 1em;color:#111;
background:#fff}h1{font-size:1.5em}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em;
vertical-align:top;border-bottom:1px solid #ccc}td:nth-child(2){white-space:nowrap}pre{white-space:pre-wrap;
background:#f4f4f4;padding:.8em;overflow-wrap:anywhere}
.right::before{content:"✓ ";color:#00664b}.wrong::before{content:"✗ ";color:#a33c00}
.waits::before{content:"… "}.note{border-left:5px solid #D55E00;padding-left:1em}"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(sheet, one, result):
    """Return the feedback page as HTML.

    Args:
        sheet: the exercise.
        one: a `collect.Found`.
        result: a `grade.Result`.
    """
    titles = {cell.id: cell.id.replace("-", " ") for cell in sheet.cells}
    rows = "".join(line(titles.get(mark.id, mark.id), mark) for mark in result.marks)
    parts = [f"<h1>{esc(sheet.title)}</h1>", f"<p>{esc(one.student)}, received {one.received:%Y-%m-%d %H:%M} UTC: "
             f"<b>{result.points:g} of {result.most:g} points</b>{waiting(result)}</p>"]  # fmt: skip
    if result.person:
        parts.append(f"<p class='note'>A person will look at this submission: {esc(result.person)}.</p>")
    parts += [f"<p class='note'>{esc(words)}.</p>" for words in result.findings]
    parts.append(f"<table><tr><th>task</th><th>points</th><th></th></tr>{rows}</table>")
    for id, words in result.failed.items():
        parts.append(f"<h2>{esc(titles.get(id, id))} did not run to its end</h2><pre>{esc(words)}</pre>")
    if result.printed.strip():
        parts.append(f"<h2>What it printed</h2><pre>{esc(result.printed[:5000])}</pre>")
    body = "".join(parts)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{esc(sheet.title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def line(title, mark):
    """Return one row of the table."""
    state = "waits" if mark.points is None else "right" if mark.points == mark.most else "wrong"
    points = "to be read" if mark.points is None else f"{mark.points:g} of {mark.most:g}"
    words = f"<pre>{esc(mark.words)}</pre>" if mark.words else ""
    return f"<tr><td class='{state}'>{esc(title)}</td><td>{points}</td><td>{words}</td></tr>"


def waiting(result):
    """Return how many points a person still has to give."""
    left = sum(mark.most for mark in result.marks if mark.points is None)
    return f", and up to {left:g} more when somebody has read your words" if left else ""


def esc(words):
    """Return words as HTML text."""
    return html.escape(str(words), quote=True)
