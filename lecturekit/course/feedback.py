"""One page for one student: what was asked, what came, the hint; everything a student wrote is shown as text.

The page holds no script, loads nothing, and forbids both; what came from a submission is escaped.  Hidden tests are not
on it: the question and the hint are, which is what a student learns from.
"""

import html

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#111;
background:#fff}h1{font-size:1.5em}h2{font-size:1.15em}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.4em .8em .4em 0;vertical-align:top;border-bottom:1px solid #ccc}
td:first-child{padding-left:1.4em;text-indent:-1.4em}td:nth-child(2){white-space:nowrap}td:last-child{width:65%}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.8em;overflow-wrap:anywhere;font-size:14px}td pre,td p{margin:0}
td::before{display:inline-block;width:1.4em;text-indent:0}.right::before{content:"✓";color:#00664b}
.wrong::before{content:"✗";color:#a33c00}.partly::before{content:"◐";color:#7a5200}.waits::before{content:"…"}
.note{border-left:5px solid #D55E00;padding-left:1em}"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
KINDS = {"-seen": "visible check", "-again": "other inputs", "-verified": "your result"}


def page(sheet, one, result):
    """Return the feedback page as HTML.

    Args:
        sheet: the exercise.
        one: a `collect.Found`.
        result: a `grade.Result`.
    """
    rows = "".join(line(*pair) for pair in zip(result.marks, [None, *result.marks], strict=False))
    parts = [f"<h1>{esc(sheet.title)}</h1>", f"<p>{esc(one.student)}, received {one.received:%Y-%m-%d %H:%M} UTC: "
             f"<b>{result.points:g} of {result.most:g} points</b>{waiting(result)}</p>"]  # fmt: skip
    if result.person:
        parts.append(f"<p class='note'>A person will look at this submission: {esc(result.person)}.</p>")
    parts += [f"<p class='note'>{esc(words)}.</p>" for words in result.findings]
    parts.append(f"<table><tr><th>task</th><th>points</th><th></th></tr>{rows}</table>")
    for id, words in result.remarks.items():
        parts.append(f"<h2>About {esc(title(id))}</h2><pre>{esc(words)}</pre>")
    for id, words in result.failed.items():
        if not words.startswith("NotImplementedError"):  # an empty stub: the table says so
            parts.append(f"<h2>{esc(title(id))} did not run to its end</h2><pre>{esc(words)}</pre>")
    if result.printed.strip():
        parts.append(f"<h2>What it printed</h2><pre>{esc(result.printed[:5000])}</pre>")
    body = "".join(parts)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{esc(sheet.title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def title(id):
    """Return the name of a task in words: that of its cell, and which of its tests it is."""
    name, kind = next(((id.removesuffix(end), kind) for end, kind in KINDS.items() if id.endswith(end)), (id, ""))
    return f"{name.replace('-', ' ')}{kind and ': '}{kind}"


def line(mark, above):
    """Return one row of the table; what the row above says already is not said again."""
    state = "waits" if mark.points is None else "wrong" if not mark.points else "right"
    if state == "right" and mark.points < mark.most:
        state = "partly"
    points = "to be read" if mark.points is None else f"{mark.points:g} of {mark.most:g}"
    words = f"<pre>{esc(mark.words)}</pre>" if mark.words else ""
    if words and above is not None and above.words == mark.words:
        words = "the same"
    if mark.look:
        words += "<p>Somebody will look at this again.</p>"
    return f"<tr><td class='{state}'>{esc(title(mark.id))}</td><td>{points}</td><td>{words}</td></tr>"


def waiting(result):
    """Return how many points a person still has to give."""
    left = sum(mark.most for mark in result.marks if mark.points is None)
    return f", and up to {left:g} more when somebody has read your words" if left else ""


def esc(words):
    """Return words as HTML text; half of a surrogate pair, which no file takes, is shown as a question mark."""
    return html.escape(str(words).encode("utf-8", "replace").decode("utf-8"), quote=True)
