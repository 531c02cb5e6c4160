"""Where does one class end and the next begin?  A plane through a picture, coloured by the class that is named there.

::

    tree  / cat           a: along the gradient, in levels of 255
    - - -/- - - -         b: across it, at random
    tree<>cat cat         the frame round the dot: all that is within ε
    tree / cat

The map is drawn coarse first and fine later; what is there stays when it is stopped.  Every region has its name on it,
because a colour alone says nothing to one in twelve men.

The trap: a plane is flat and the box of pictures is not.  Where it is hatched, more than a fifth of the values would be
blacker than black or whiter than white; the network answers there all the same.
"""

import torch

from lecturekit.attacks import levels
from lecturekit.panels import controls as knobs
from lecturekit.panels import look
from lecturekit.panels.attack import true_name
from lecturekit.panels.base import Memory, Panel, hidden_unless
from lecturekit.panels.planes import SIZES, Sliced, ball, beyond, refined, ways
from lecturekit.panels.regions import slice_map
from lecturekit.panels.shelf import Shelf, names_of_classes
from lecturekit.panels.source import BOOK, PHOTOGRAPHS, PICTURES, Source, drawn, photographed
from lecturekit.pictures import photographs
from lecturekit.plots.regions import OUTSIDE

WIDE, NEXT = 560, 184  # pixels of the map, with its axes and names, and of each picture beside it
DIRECTIONS = [("along the gradient × at random", "gradient"), ("towards another picture × at random", "picture")]
SMALL = 12  # levels of 255: on the way to another picture a ball of less is hidden by the dot


class Slice(Panel):
    """Cut a plane through a picture and see what the network says on it.

    From code: ``panel.set(world=, picture=, photograph=, upload=, network=, plane=, other=, other_photograph=, extent=,
    seed=, points=, eps=)``; ``panel.result`` is a `Sliced`.

    ``plane`` is ``"gradient"``, which reaches ``extent`` levels of 255 to each side, or ``"picture"``, which goes to
    picture ``other`` of the picture book, or to ``other_photograph``.  ``seed`` draws the random direction, ``points``
    is the number of points a side, ``eps`` the radius that is framed, in levels.

    Args:
        networks: see `shelf.Shelf`.
        world, size: see `source.Source`.
        settings: where the controls stand at first, e.g. ``plane="picture", other=12``.
    """

    def __init__(self, networks=None, *, world=BOOK, size=64, **settings):
        self.shelf, self.source, self.memory = Shelf(networks, size=size), Source(world, size, live=False), Memory()
        names = [credit.name for credit in photographs.bundled()]
        chosen = {
            "network": knobs.menu("Network", self.shelf.options()),
            "plane": knobs.menu("Plane", DIRECTIONS),
            "other": knobs.slider("Towards", 0, PICTURES - 1, 12, live=False),
            "other_photograph": knobs.walk("Towards", names, names[-1], live=False),
            "extent": knobs.slider("Reach, of 255", 4, 64, 24, live=False),
            "seed": knobs.slider("Random no.", 0, 20, 0, live=False),
            "points": knobs.walk("Points a side", list(SIZES), 17, live=False),
            "eps": knobs.slider("ε, of 255", 0, 32, 8),
        }
        controls = {**self.source.controls, **chosen}
        for name in ("world", "plane"):
            controls[name].observe(lambda _: self._unveil(), names="value")
        self.picture, self.map = look.Picture("Picture", NEXT), look.Picture("What the network says", WIDE, smooth=True)
        self.beyond = look.Picture("Just beyond it", NEXT)
        super().__init__(controls, [look.Strip([self.map, self.picture, self.beyond])], steps="points")
        self._unveil()
        self.begin(settings)

    def _unveil(self):
        """Show the knobs that the plane listens to."""
        world, plane = self.controls["world"].value, self.controls["plane"].value
        self.controls["extent"].layout.display = hidden_unless(plane == "gradient")
        self.controls["other"].layout.display = hidden_unless(plane == "picture" and world != PHOTOGRAPHS)
        self.controls["other_photograph"].layout.display = hidden_unless(plane == "picture" and world == PHOTOGRAPHS)

    def _other(self, settings):
        """Return the second picture of the plane, or None."""
        if settings["plane"] == "gradient":
            return None
        if settings["world"] == PHOTOGRAPHS:
            return photographed(settings["other_photograph"], self.source.size)
        return drawn(settings["other"], self.source.size)

    def compute(self, settings, watch):
        """Return the `Sliced`: 9 x 9 points first, then those between them, until there are enough."""
        chosen, other = self.source.picture(settings), self._other(settings)
        truth, pixels = true_name(settings), [c.x.cpu().numpy().tobytes() for c in (chosen, other) if c]
        asked = [settings[name] for name in ("network", "plane", "extent", "seed", "points")]
        if known := self.memory.recall((*pixels, truth, *asked)):
            return known._replace(chosen=chosen, other=other)
        model, shapes = self.shelf.opened(settings["network"])
        names = names_of_classes(model, next(reversed(shapes.values()))[0])
        with torch.no_grad():
            answer = model(chosen.x).argmax(1)
        y = torch.tensor([names.index(truth)], device=answer.device) if truth in names else answer

        def cut(plane, complete):
            there = beyond(model, chosen.x, plane)
            return Sliced(chosen, other, plane, y.item(), names, truth in names, there, complete)

        result = refined(model, chosen.x, y, ways(model, chosen.x, y, other, settings), settings["points"], watch, cut)
        return self.memory.keep((*pixels, truth, *asked), result) if result.complete else result

    def show(self, result, settings):
        """Paint the map, the picture, and the first picture beyond the border."""
        frame = ball(result.plane, levels(settings["eps"])) if settings["eps"] else []
        if result.other is None:
            reach = settings["extent"]
            axes, units = ("levels of 255, along the gradient", "levels, at random"), 255
            ticks = [[share * reach for share in (-1, -0.5, 0, 0.5, 1)]] * 2
        else:
            axes, units = (f"0: {short(result.chosen)}   1: {short(result.other)}", "across, at random"), 1
            ticks = [[0, 0.5, 1], [-0.5, 0, 0.5]]
        marks = [(0, 0), (1, 0)] if result.other else [(0, 0)]
        how = {"units": units, "first": [result.y], "outline": frame, "marks": marks, "width": WIDE}
        self.map.paint(slice_map(result.plane, result.names, axes, ticks, **how), about_map(result, settings["eps"]))
        self.picture.paint(look.pixels(result.chosen.x), about_picture(result))
        self.beyond.unveil(result.beyond is not None)
        if result.beyond:
            self.beyond.paint(look.pixels(result.beyond.x), about_beyond(result))

    def live(self, picture):
        """Paint the map as far as it is there."""
        self.show(picture, self.settings())


def short(chosen):
    """Return what a picture shows, in one word."""
    return chosen.words.partition(",")[0].partition("\n")[0]


def about_map(result, eps):
    """Return the caption of the map: the frame, where the border is, and how fine the map is."""
    words = [f"frame: all within ε = {eps}/255" + (", smaller than the dot" if result.other and eps < SMALL else "")]
    words = words if eps else ["no frame: ε is 0"]
    said = result.names[result.y]
    if result.beyond is None:
        words.append(f"as far as the axis goes it says {said}")
    elif result.beyond.place == 0:
        words.append(f"it does not say {said} of the picture itself")
    else:
        words.append(f"border: {border(result)}")
    if (result.plane.inside < 1 - OUTSIDE).any():
        words.append("hatched: beyond black and white, so no pictures")
    points = len(result.plane.a)
    return "\n".join(words) + ("" if result.complete else f"\n{points} × {points} points so far")


def border(result):
    """Return in words how far away the border is."""
    if result.other is None:
        return f"after {255 * result.beyond.place:.3g} levels along the gradient"
    return f"after {100 * result.beyond.place:.0f} % of the way"


def about_picture(result):
    """Return the caption of the picture: what it is, and whether anybody knows its class."""
    known = "" if result.known else "\nno label is known: what the network says counts as true"
    towards = f"\ntowards {result.other.words}" if result.other else ""
    return f"dot: {result.chosen.words}{towards}{known}"


def about_beyond(result):
    """Return the caption of the picture beyond the border: how far it is, and what is said of it."""
    there = result.beyond
    return f"{border(result)}\nthe network says\n{result.names[there.said]}, {100 * there.share:.1f} %"
