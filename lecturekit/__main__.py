"""The ``lecturekit`` command: ``doctor``, ``notes``, ``train``, ``claims``, ``networks``, ``release``, ``grade``."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from lecturekit.course import commands
from lecturekit.errors import LectureError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.command()(commands.release)
app.command()(commands.grade)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A shipped network; `lecturekit networks` lists them.")],
    folder: Annotated[Path, typer.Option(help="Where weights and card go.")] = Path("."),
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; same number, same weights.")] = None,
):
    """Train one network again from its recipe.  Stop with Ctrl-C; the same command goes on from the last epoch."""
    import torch

    from lecturekit.errors import unknown
    from lecturekit.files import cache_folder
    from lecturekit.progress import bar
    from lecturekit.recipes import RECIPES
    from lecturekit.shipping import ship
    from lecturekit.training import train as run

    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if threads:
        torch.set_num_threads(threads)
    states = cache_folder("training")
    trained = run(RECIPES[name], states, watch=bar(name))
    if not trained.complete:
        typer.echo(f"Stopped after {len(trained.history)} whole epochs; the same command goes on from there.")
        raise typer.Exit(130)
    card = ship(RECIPES[name], trained, folder=folder)
    typer.echo(f"Wrote {folder / name}.safetensors ({card['bytes']:,} bytes) and its card: {card['measured']}")
    typer.echo(f"To train it from the beginning again, delete {states / name}.safetensors first.")


@app.command()
def doctor(
    lecture: Annotated[str, typer.Option(help="Also rehearse one: its number, or the path of a notebook.")] = "",
):
    """Say whether this machine is ready for the course, and how to mend what is not.

    With --lecture the notebook is run, every panel in it is walked to its ends, and the network is refused meanwhile;
    that takes one to five minutes.  Ctrl-C ends it early and prints what was found.
    """
    from lecturekit.doctor import WRONG, Report, check
    from lecturekit.rehearsal import find, rehearse

    path = find(lecture) if lecture else None  # a mistyped number is told before anything is looked at
    report = check()
    if path:
        with rehearsal_bar() as watch:
            report = Report([*report, *rehearse(path, watch)], report.columns)
    typer.echo(f"{report}\n\n{report.verdict()}")
    if any(finding.state == WRONG for finding in report):
        raise typer.Exit(1)


@contextlib.contextmanager
def rehearsal_bar():
    """Yield a watch that shows in the terminal which cell or which control is tried."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("", total=None)
        yield lambda step: progress.update(task, completed=step.done, total=step.total, description=step.note)


@app.command()
def notes(lecture: Annotated[str, typer.Argument(help="The number of a lecture, e.g. 04.")]):
    """Show the speaker notes of a lecture, for a screen that only the speaker sees."""
    from rich.console import Console
    from rich.markdown import Markdown

    from lecturekit.rehearsal import notes_of

    Console().print(Markdown(notes_of(lecture).read_text(encoding="utf-8")))


@app.command()
def claims(
    ids: Annotated[list[str] | None, typer.Argument(help="Claims to measure; all if none is named.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the ledger to this file.")] = None,
    stored: Annotated[bool, typer.Option(help="Print the shipped numbers instead of measuring again.")] = False,
):
    """Measure the sentences of the lecture and print each beside its number.  All take about four hours on one core."""
    from lecturekit import claims as ledger
    from lecturekit.errors import SetupError, unknown

    shipped = ledger.stored() if stored else {}
    failed = 0
    for id in ids or (shipped if stored else ledger.known()):
        if stored and id not in shipped:
            raise unknown("measured claim", id, shipped)
        try:
            entry = shipped[id] if stored else ledger.measure(id)
        except SetupError as problem:  # real faces that are not on this machine are no reason to stop
            if ids:
                raise
            typer.echo(f"{id}: not measured. {problem}\n")
            continue
        typer.echo(f"{entry}\n  {entry.seconds} s\n")
        failed += not entry.holds
        if json:
            ledger.write([entry], json)
    raise typer.Exit(1 if failed else 0)


@app.command()
def networks():
    """List the shipped networks with what their cards say."""
    from rich.console import Console
    from rich.table import Table

    from lecturekit.networks import cards

    table = Table("name", "weights", "measured on unseen pictures", title="Shipped networks")
    for name, card in cards().items():
        numbers = [f"{key} {v['estimate']:.4g} [{v['low']:.4g}, {v['high']:.4g}] (N={v['n']})"
                   for key, v in card.get("measured", {}).items()]  # fmt: skip
        table.add_row(name, f"{card['weights']:,}", "\n".join(numbers))
    Console().print(table)


def main():
    """Run the command; a user's mistake is one sentence, not a traceback."""
    try:
        app()
    except LectureError as problem:
        typer.echo(f"lecturekit: {problem}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
