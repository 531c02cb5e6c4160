"""Real photographs: the ones that come with scikit-image, and any file or upload of a student's own.

``transforms.ToTensor()(Image.open(file))`` is what everybody writes, and it is wrong for most files that are not a
plain RGB JPEG: a phone's portrait lies on its side, a palette picture becomes one channel of palette *indices*, a
transparent background turns into whatever colour was hidden there, a 16-bit picture loses all but two grey levels.
Here every file ends as the same thing, or is refused with a sentence:

    turned as the camera was held (EXIF) -> transparency on white -> RGB -> float (1, 3, H, W) in [0, 1]

The trap: a picture of a few kilobytes can unpack to gigabytes.  The *header* is asked for the size, before anything is
decoded.
"""

import importlib.util
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lecturekit.errors import FileError, InputError, SetupError, unknown
from lecturekit.files import kind, regular
from lecturekit.pixels import check_pixels
from lecturekit.tables import Table

LARGEST_FILE = 200_000_000  # bytes
LARGEST_PICTURE = 50_000_000  # pixels: what a good camera makes, and 150 MB once decoded
LONGEST_SIDE = 1024  # pixels: larger pictures are made smaller unless a size is asked for
# EPS, WMF and many more are left out: Pillow would start other programs, or long-forgotten decoders, for them.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF")
ANIMATED = ("GIF", "PNG", "TIFF", "WEBP", "AVIF")  # not a JPEG: some phones hide a second, smaller copy in theirs


class Credit(NamedTuple):
    """One photograph that comes with scikit-image: whose it is, and what an ImageNet network should call it."""

    name: str
    shows: str
    credit: str
    licence: str
    imagenet: str | None
    file: str


CREDITS = (
    Credit("cat", "Chelsea the cat", "Stefan van der Walt", "CC0", "Egyptian cat", "chelsea.png"),
    Credit("coffee", "a cup at Pikolo Espresso Bar", "Rachel Michetti", "CC0", "espresso", "coffee.png"),
    Credit("astronaut", "Eileen Collins", "NASA", "public domain", None, "astronaut.png"),
    Credit("rocket", "Falcon 9 lifting DSCOVR", "SpaceX", "public domain", "missile", "rocket.jpg"),
    Credit("camera", "a man and his camera", "Lav Varshney", "CC0", "tripod", "camera.png"),
    Credit("clock", "a wall clock, blurred", "Stefan van der Walt", "public domain", None, "clock_motion.png"),
    Credit("coins", "Greek coins", "Brooklyn Museum", "no known copyright restrictions", None, "coins.png"),
    Credit("galaxies", "Hubble eXtreme Deep Field", "NASA", "public domain", None, "hubble_deep_field.jpg"),
    Credit("retina", "the back of an eye", "Mikael Häggström", "CC0", None, "retina.jpg"),
    Credit("brick", "a wall", "CC0Textures", "CC0", None, "brick.png"),
    Credit("grass", "a meadow", "linolafett", "CC0", None, "grass.png"),
    Credit("gravel", "small stones", "CC0Textures", "CC0", None, "gravel.png"),
)


def bundled():
    """Return the credits of the photographs that are on this machine, as a table; none of them is ever downloaded."""
    folder = _bundle()
    return Table(credit for credit in CREDITS if (folder / credit.file).is_file())


def photograph(name, size=None):
    """Return one of the `bundled` photographs, (1, 3, H, W) in [0, 1].

    Args:
        name: ``"cat"``, ``"coffee"``, ``"astronaut"`` ...
        size: pixels a side of the centre square that is wanted; None for the whole photograph, its longer side at most
            `LONGEST_SIDE`.
    Raises: InputError that lists the names; SetupError without scikit-image.
    """
    files = {credit.name: credit.file for credit in bundled()}
    if name not in files:
        raise unknown("photograph", name, files)
    return read(_bundle() / files[name], size, say=lambda _: None)


def read(source, size=None, *, name=None, say=print):
    """Return any picture as float (1, 3, H, W) in [0, 1], or refuse it with a sentence that says why.

    Args:
        source: a path, or the bytes of a file.
        size: pixels a side of the centre square that is wanted; None for the whole picture, made smaller only where
            its longer side exceeds `LONGEST_SIDE`.
        name: what messages call the picture; the file's name if None.
        say: is told in one sentence where the result is less than the file: a first frame, a smaller copy.
    Raises: FileError for what is not a picture, is damaged or forbidden; InputError for one that is too large.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), repr(name or "picture")
    else:
        data, name = _contents(source), repr(name or Path(source).name)
    picture = _plain(_decode(data, name, say), name)
    if size is not None:
        square = picture.crop(centre_square(*picture.size))  # resize(box=...) would mix in what lies outside of it
        picture = square.resize((side(size),) * 2, _bilinear())
    elif max(picture.size) > LONGEST_SIDE:
        before = picture.size
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), _bilinear(), reducing_gap=None)
        say(f"{name} was made smaller, from {before[0]} x {before[1]} to {picture.size[0]} x {picture.size[1]} pixels.")
    return _tensor(picture)


def from_upload(value, size=None, *, say=print):
    """Return the newest picture of an ``ipywidgets.FileUpload``, given its ``value``; otherwise as `read`.

    Raises: InputError if nothing was uploaded yet.
    """
    items = value if isinstance(value, tuple | list) else (value,)
    if not items:
        raise InputError("no picture was uploaded yet; press the button and choose one")
    item = items[-1]  # by index: what comes from a browser has attributes too, what a test sets is a plain dict
    return read(item["content"], size, name=item["name"], say=say)


def crop_to(x, size):
    """Return the centre square of each picture, made ``size`` pixels a side: (N, C, H, W) -> (N, C, size, size).

    Antialiased and bilinear, as in torchvision's preprocessing: every new pixel is an average, so [0, 1] stays [0, 1].
    """
    check_pixels(x)
    left, top, right, bottom = centre_square(x.shape[-1], x.shape[-2])
    square = x[..., top:bottom, left:right]
    return torch.nn.functional.interpolate(square, (side(size),) * 2, mode="bilinear", antialias=True)


def centre_square(width, height):
    """Return the largest square in the middle of a picture as (left, top, right, bottom)."""
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    return left, top, left + short, top + short


def side(size):
    """Return ``size``, and refuse what is no number of pixels."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= 4096:
        raise InputError(f"size must be a whole number of pixels from 1 to 4096, got {size!r}")
    return size


def _bundle():
    """Return the folder of pictures inside scikit-image, without importing it: that takes a second and may download."""
    package = importlib.util.find_spec("skimage")
    if package is None:
        raise SetupError("scikit-image is not installed; its photographs come with it: pip install scikit-image")
    return Path(package.origin).parent / "data"


def _contents(path):
    """Return the bytes of a file that is regular and not enormous."""
    path = regular(path)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise InputError(f"{path.name!r} has {size:,} bytes, at most {LARGEST_FILE:,} are read; save it smaller")
    return path.read_bytes()


def _decode(data, name, say):
    """Return the first frame of a picture file, decoded to its last byte, turned upright."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.init()
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    formats = [known for known in FORMATS if known in Image.OPEN]  # AVIF only where Pillow was built with it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "corrupt EXIF data": a torn note beside a whole picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=formats)
            _refuse_bomb(picture.size, name)
            if picture.format in ANIMATED and getattr(picture, "n_frames", 1) > 1:
                say(f"{name} holds {picture.n_frames} pictures; the first is used.")
            picture.load()  # only now are the pixels read: a cut-off file opens without complaint
            return ImageOps.exif_transpose(picture)
    except InputError:
        raise
    except bombs as problem:
        raise InputError(f"{name} would unpack to far too many pixels ({problem}); save it smaller") from None
    except UnidentifiedImageError:
        what = f"{kind(data[:512])} ({len(data):,} bytes)"
        raise FileError(f"{name} cannot be read as a picture, it is {what}; save it whole, as PNG or JPEG") from None
    except Exception as problem:  # damaged files raise OSError, SyntaxError, struct.error, ValueError, EOFError ...
        raise FileError(f"{name} is damaged or incomplete ({problem}); get it again, or save it anew") from problem


def _refuse_bomb(size, name):
    """Refuse a picture by the size that its header states, before a pixel of it is decoded."""
    width, height = size
    if width * height > LARGEST_PICTURE:
        raise InputError(
            f"{name} has {width} x {height} = {width * height:,} pixels, at most {LARGEST_PICTURE:,} are decoded; "
            "save it smaller"
        )


def _plain(picture, name):
    """Return a picture of any mode as RGB in 8 bits, or as grey in [0, 1] (mode F) if it has more."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        grey = np.asarray(picture).astype(np.float32)
        grey = grey / 65535 if picture.mode != "F" else grey  # Pillow's own conversion would clip at 255
        if not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= 1):
            raise InputError(f"{name} has values beyond 16 bits or outside [0, 1]; save it with 8 or 16 bits")
        return Image.fromarray(grey)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")  # convert("RGB") would uncover the colour that lies under the transparency
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _tensor(picture):
    """Return an RGB picture, or a grey one with values in [0, 1], as float (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture))  # a copy: Pillow's own memory is read-only
    if picture.mode == "F":
        return pixels.expand(1, 3, -1, -1).clone()
    return pixels.permute(2, 0, 1)[None].float().contiguous() / 255  # (H, W, 3) -> (1, 3, H, W)


def _bilinear():
    """Return Pillow's name for averaging over the area that a new pixel covers."""
    from PIL import Image

    return Image.Resampling.BILINEAR
