"""Which picture?  The controls that all panels share: the picture book, photographs, a file, or one's own camera."""

import functools
from typing import NamedTuple

import torch

from lecturekit.devices import device
from lecturekit.errors import InputError
from lecturekit.panels import controls as knobs
from lecturekit.panels.camera import NAME, Camera
from lecturekit.pictures import photographs, picturebook

BOOK, PHOTOGRAPHS, UPLOAD, CAMERA = "picturebook", "photographs", "upload", "camera"
WORLDS = [("picture book", BOOK), ("photographs", PHOTOGRAPHS), ("my own file", UPLOAD), ("my camera", CAMERA)]
CHOOSERS = {BOOK: "picture", PHOTOGRAPHS: "photograph", UPLOAD: "upload", CAMERA: "camera"}  # the control of each world
PICTURES = 200  # of the picture book that the slider reaches
FIRST = picturebook.SPLITS.index("test") * picturebook.SPLIT_SEEDS  # no network was trained on these


class Chosen(NamedTuple):
    """A picture (1, 3, H, W) in [0, 1], and what it is in a few words."""

    x: torch.Tensor
    words: str


class Source:
    """Controls that choose a picture; one of four is seen, as the world demands.

    Args:
        world: ``"picturebook"``, ``"photographs"``, ``"upload"`` or ``"camera"``.
        size: pixels a side of what the network is shown; photographs and files are cut to their centre square.
        live: choose while the slider is dragged; without it, when it is let go.

    Attributes:
        controls: by the names that a panel's ``set`` knows: ``world``, ``picture`` (a number in the picture book),
            ``photograph`` (a name), ``upload`` (from code: a path, or the bytes of a file) and ``camera`` (from code:
            the bytes of a file).
    """

    def __init__(self, world=BOOK, size=64, live=True):
        self.size = size
        names = [credit.name for credit in photographs.bundled()]
        self.controls = {
            "world": knobs.menu("World", WORLDS, world),
            "picture": knobs.slider("Picture", 0, PICTURES - 1, 5, live=live),
            "photograph": knobs.walk("Photograph", names, live=live),
            "upload": knobs.file_button(),
            "camera": Camera(),
        }
        self.controls["world"].observe(lambda _: self._unveil(), names="value")
        self._unveil()

    def _unveil(self):
        """Show the one control that belongs to the world and hide the others; a hidden camera is switched off."""
        world = self.controls["world"].value
        for belongs, name in CHOOSERS.items():
            self.controls[name].layout.display = "" if world == belongs else "none"
        if world != CAMERA:
            self.controls["camera"].switch_off()

    def picture(self, settings):
        """Return what the settings of the panel choose.

        Raises: InputError if no file was chosen or no picture taken yet; FileError for one that is not a picture.
        """
        if settings["world"] == BOOK:
            return drawn(settings["picture"], self.size)
        if settings["world"] == PHOTOGRAPHS:
            return photographed(settings["photograph"], self.size)
        if settings["world"] == CAMERA:
            return taken(settings["camera"], self.size)
        return uploaded(settings["upload"], self.size)


@functools.lru_cache(512)
def scene(number):
    """Return picture ``number`` of ``PictureBook("test", ...)`` with what is known about it."""
    return picturebook.draw(FIRST + number)


def drawn_class(number):
    """Return the class of picture ``number``."""
    return picturebook.CLASSES[scene(number).label]


@functools.lru_cache(32)  # of 224 pixels a side they take half a megabyte each
def drawn(number, size):
    """Return picture ``number`` as pixels of the wanted size."""
    x = torch.from_numpy(scene(number).image).permute(2, 0, 1)[None].float() / 255
    x = x if size == x.shape[-1] else photographs.crop_to(x, size)
    return Chosen(x.to(device()), f"{drawn_class(number)}, number {number}")


@functools.lru_cache(32)
def photographed(name, size):
    """Return one of the photographs that are on this machine."""
    return Chosen(photographs.photograph(name, size).to(device()), name)


def uploaded(value, size):
    """Return the newest file of the upload button; what was left out of it stands in the words."""
    if not value:
        return Chosen(photographs.from_upload(value, size), "")  # says that there is none
    return read(bytes(value[-1]["content"]), value[-1]["name"], size)


def taken(content, size):
    """Return the latest photograph of the camera, decoded as carefully as any file.

    Raises: InputError if there is none yet.
    """
    if not content:
        raise InputError("no picture was taken yet; open the camera and press the button under its moving picture")
    return read(content, NAME, size)


@functools.lru_cache(8)
def read(content, name, size):
    """Return a file as a picture; it is decoded once, however often the other controls move."""
    notes = []
    x = photographs.read(content, size, name=name, say=notes.append)
    return Chosen(x.to(device()), "\n".join([name, *notes]))
