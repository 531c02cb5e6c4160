"""A photograph from the camera of whoever sits in front of the screen.

The kernel has no eyes, and may run in another building; the camera belongs to the browser.  So the browser asks the
person, shows what it sees, and sends one still picture when a button is pressed::

    camera  ->  moving picture in the panel  ->  "Take the picture"  ->  bytes of a PNG  ->  `source.read`, as any file

The camera is off until it is opened, and goes off when it is closed, when another world is chosen, and with the panel.
What it sends stays in the memory of the kernel until that ends: nothing here writes it to a disk or sends it anywhere
else.  *Reset* takes it out of the controls.

The trap: a panel leaves a static picture of what it shows in the notebook, for readers without a kernel.  That is made
when a cell displays the panel; so a cell that displays it *after* a photograph was taken stores the person in the file.
Clear its output before you hand the notebook on.

The widgets are those of ipywebrtc (M. Breddels, 2021), the only package that brings a camera without a build step.  It
was made for JupyterLab 3; that it works with this one is what ``tests/browser/test_camera.py`` is for.
"""

import html
import importlib.util

import ipywidgets as widgets
import traitlets

from lecturekit.panels import controls as knobs

# The buttons say "open" and "close"; a method of that name would be the one by which every widget meets its browser.
NAME = "taken with the camera"
WIDE = 240  # pixels of the moving picture on the screen
ASKED = {"audio": False, "video": {"width": {"ideal": 640}, "facingMode": "user"}}  # sound was never wanted
STYLE = f"<style>.lk-camera video {{width: {WIDE}px; max-width: 100%; border-radius: 3px}}</style>"
MISSING = (
    "The camera needs the package ipywebrtc, which is not installed: pip install ipywebrtc, then reload this page and "
    "restart the kernel. Until then take a photograph with a telephone and choose \u201cmy own file\u201d."
)
CLOSED = "Off. The browser will ask whether it may. The picture stays in memory, nothing is stored."
OPENED = (
    "No moving picture? Then the browser has no camera, or refused it: look at the sign beside the address. Browsers "
    "lend a camera only to pages from this machine (localhost) or with https. Outside JupyterLab choose a file."
)
WAITING = "Waiting for the browser to send the picture ..."
TAKEN = "Taken; it is in memory only."


class Camera(widgets.VBox):
    """A control whose value is the latest photograph, as the bytes of a file; empty before there is one.

    From code: ``panel.set(world="camera", camera=Path("me.jpg").read_bytes())``.

    Attributes:
        value: the bytes.
        on: whether the camera is open.
        label: what a screen reader says instead of the bytes.
    """

    description = "Camera"
    value = traitlets.Bytes()

    def __init__(self):
        self._stream = self._recorder = None
        self.open_button = knobs.button("Open the camera", "The browser asks whether it may", self.switch_on)
        self.take_button = knobs.button("Take the picture", "Send one still picture to the panel", self.take)
        self.shut_button = knobs.button("Close the camera", "Switch it off; the picture stays", self.switch_off)
        self._place, self._says = widgets.VBox(), widgets.HTML()
        buttons = widgets.HBox([self.open_button, self.take_button, self.shut_button])
        super().__init__([self._place, buttons, self._says])
        self.add_class("lk-camera")
        self.open_button.disabled = not installed()
        self._turned(CLOSED if installed() else MISSING)

    @property
    def on(self):
        """Whether the camera is open."""
        return self._stream is not None

    @property
    def label(self):
        """What there is, in words."""
        return "a photograph" if self.value else "no photograph"

    def switch_on(self):
        """Let the browser ask for the camera, and show what it sees."""
        if self.on:
            return
        import ipywebrtc  # late: a package that may be missing, for the few who open the camera

        self._stream = ipywebrtc.CameraStream(constraints=ASKED)
        self._recorder = ipywebrtc.ImageRecorder(stream=self._stream)
        self._recorder.image.observe(self._arrived, names="value")
        self._place.children = [self._stream]
        self._turned(OPENED)

    def take(self):
        """Ask the browser for one still picture, which comes as soon as it can."""
        if not self.on:
            return
        self._recorder.recording = False  # a picture that never came leaves it up, and up again would say nothing
        self._recorder.recording = True
        self._turned(WAITING)

    def switch_off(self):
        """Switch the camera off; the picture stays."""
        if not self.on:
            return
        self._place.children = []
        stream, recorder, self._stream, self._recorder = self._stream, self._recorder, None, None
        recorder.image.unobserve_all()
        for widget in (recorder.image, recorder, stream):
            widget.close()  # the browser lets go of the camera with the stream
        self._turned(CLOSED)

    def close(self):
        """Switch the camera off and take the control away."""
        if hasattr(self, "_place"):  # Python closes what could not be built, too
            self.switch_off()
        super().close()

    def _arrived(self, event):
        """The browser sent a picture."""
        if event["new"]:
            self._turned(TAKEN)
            self.value = bytes(event["new"])

    def _turned(self, words):
        """Offer the buttons that make sense now, under the words that say what goes on."""
        for button in (self.open_button, self.take_button, self.shut_button):
            button.layout.display = "" if self.on != (button is self.open_button) else "none"
        self._says.value = f"{STYLE}<div class='lk-caption' role='status'>{html.escape(words)}</div>"


def installed():
    """Tell whether the package with the camera's widgets is there."""
    return importlib.util.find_spec("ipywebrtc") is not None
