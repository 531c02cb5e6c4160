"""Knobs that follow the layer: as long as *tuned for the layer* is ticked, they stand where that layer works best.

Turning one of them by hand takes the tick away; ticking it again puts them back.
"""

from lecturekit.panels import controls as knobs


class Tuning:
    """Ties some knobs of a panel to its ``tuned`` and ``layer`` controls; made before `Panel.__init__`.

    Made later, it would turn the knobs only after the panel had asked for a picture with the old ones.

    Args:
        panel: whose `Panel.together` is used.
        controls: of the panel, by name.
        names: of the knobs that follow.
        values: returns where they belong for the present layer, one for each name.
    """

    def __init__(self, panel, controls, names, values):
        self.panel, self.controls, self.names, self.values = panel, controls, names, values
        self._by_ourselves = False
        for name in ("tuned", "layer"):
            controls[name].observe(self.follow, names="value")
        for name in names:
            controls[name].observe(self._turned, names="value")

    def follow(self, _event=None):
        """Put the knobs where they belong, if that is wanted."""
        if not self.controls["tuned"].value:
            return
        values = self.values()
        with self.panel.together():
            self._by_ourselves = True
            try:
                for name, value in zip(self.names, values, strict=True):
                    knobs.put(name, self.controls[name], value)
            finally:
                self._by_ourselves = False

    def _turned(self, _event):
        """Somebody turned a knob: it is not tuned any more."""
        if not self._by_ourselves:
            with self.panel.together():
                self.controls["tuned"].value = False
