"""Every figure of the course, made to be read from the last row of a lecture hall.

=====================  ==================================================================================
grids of pictures      `pictures`, `feature_maps`, `filters`: each returns a figure, which a notebook shows
drawn into an axes     `signed`, `heat`, `parts_overlay`, `slice_map`, `curve_with_intervals`, `baseline`,
                       `losses`
the rest               `use` sets the style of a notebook, `axes` makes a figure, `png` is for panels
=====================  ==================================================================================

Pictures have one scale, 0 is black and 1 is white; positive quantities are viridis; signed ones are red and blue with
white for zero.  No colour stands alone: a `Look` is a colour *and* a marker.

The trap: a figure made by pyplot is shown twice when it is also the last line of a cell.  None here is made by pyplot,
nothing calls ``show()``, and panels may draw from any thread.
"""

from lecturekit.plots.curves import baseline, curve_with_intervals, losses
from lecturekit.plots.grids import feature_maps, filters, pictures, png
from lecturekit.plots.maps import heat, parts_overlay, signed
from lecturekit.plots.regions import slice_map
from lecturekit.plots.style import BASELINE, CONTROL, DECODED, LOOKS, OPTIMISED, ORIGINAL, PIXELS, Look, axes, use

__all__ = [
    "BASELINE", "CONTROL", "DECODED", "LOOKS", "Look", "OPTIMISED", "ORIGINAL", "PIXELS", "axes", "baseline",
    "curve_with_intervals", "feature_maps", "filters", "heat", "losses", "parts_overlay", "pictures", "png", "signed",
    "slice_map", "use",
]  # fmt: skip
