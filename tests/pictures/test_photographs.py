"""Every file ends as float (1, 3, H, W) in [0, 1], or is refused with a sentence."""

import builtins
import datetime
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from lecturekit.errors import FileError, InputError, SetupError
from lecturekit.pictures import photographs
from lecturekit.pictures.photographs import bundled, centre_square, crop_to, from_upload, photograph, read

# Two rows, three columns, every pixel different: a flip, a turn or a swap of colours shows.
PIXELS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 0], [10, 20, 30], [255, 255, 255]]], dtype=np.uint8
)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float() / 255


def encoded(picture, kind="PNG", **options):
    """The bytes of a file with this picture in it."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def silent(sentence):
    pytest.fail(f"said without need: {sentence}")


def assert_pixels(x):
    """The pixel contract."""
    assert x.shape[:2] == (1, 3) and x.dtype == torch.float32 and x.is_contiguous()
    assert 0 <= x.min() and x.max() <= 1


# The bundle


def test_the_bundle_needs_no_network_and_no_pooch(monkeypatch):
    loaded = builtins.__import__

    def without_pooch(name, *rest):
        assert name.split(".")[0] not in ("pooch", "skimage"), f"{name} was imported"
        return loaded(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pooch)
    for credit in bundled():
        assert_pixels(photograph(credit.name))


def test_the_bundle_has_the_photographs_of_the_lecture():
    assert {"cat", "coffee", "astronaut", "rocket", "camera"} <= {credit.name for credit in bundled()}


@pytest.mark.parametrize("name", ["cat", "rocket", "camera"])
def test_a_bundled_photograph_is_the_one_scikit_image_gives(name):
    import skimage

    theirs = torch.from_numpy(np.atleast_3d(getattr(skimage.data, name)())).float() / 255
    assert torch.equal(photograph(name)[0], theirs.permute(2, 0, 1).expand(3, -1, -1))


@pytest.mark.parametrize("credit", bundled(), ids=lambda credit: credit.name)
def test_credits_say_what_scikit_image_says(credit):
    from skimage.data import _fetchers  # its functions carry the credits in their docstrings

    names = {"galaxies": "hubble_deep_field"}
    said = " ".join(getattr(_fetchers, names.get(credit.name, credit.name)).__doc__.split())
    if credit.name == "cat":
        said = " ".join(_fetchers.chelsea.__doc__.split())
    assert credit.credit.lower() in said.lower()
    licence = {"CC0": ("CC0",), "public domain": ("public domain",)}
    assert any(word in said for word in licence.get(credit.licence, ("No known copyright restrictions",)))


def test_the_bundle_prints_as_a_table():
    first, cat, *_ = repr(bundled()).splitlines()
    assert first.split() == ["name", "shows", "credit", "licence", "imagenet", "file"]
    assert "Stefan van der Walt" in cat and "CC0" in cat
    assert "<td" in bundled()._repr_html_() and "Häggström" in bundled()._repr_html_()


def test_an_unknown_photograph_is_answered_with_the_names():
    with pytest.raises(InputError, match="no photograph named 'cats'. Did you mean 'cat'.*Available: cat, coffee"):
        photograph("cats")


def test_a_machine_without_scikit_image_is_told_so(monkeypatch):
    monkeypatch.setattr(photographs.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match="scikit-image is not installed.*pip install"):
        photograph("cat")


def test_only_what_is_in_the_wheel_is_listed(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "coffee.png").write_bytes(encoded(Image.fromarray(PIXELS)))
    monkeypatch.setattr(photographs, "_bundle", lambda: tmp_path / "data")
    assert [credit.name for credit in bundled()] == ["coffee"]
    with pytest.raises(InputError, match="no photograph named 'cat'"):
        photograph("cat")


# Every kind of picture


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_picture_comes_back_pixel_by_pixel(kind):
    assert torch.equal(read(encoded(Image.fromarray(PIXELS), kind), say=silent), TENSOR)


def test_a_path_a_text_and_bytes_of_any_kind_are_read_alike(tmp_path):
    data = encoded(Image.fromarray(PIXELS))
    path = tmp_path / "ein Bild für Ås (1).png"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        assert torch.equal(read(source), TENSOR)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_lossy_picture_is_near(kind):
    smooth = Image.fromarray(np.linspace(0, 255, 32 * 48 * 3).reshape(32, 48, 3).astype(np.uint8))
    x = read(encoded(smooth, kind, quality=95), say=silent)
    assert_pixels(x)
    assert (x - torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None] / 255).abs().max() < 0.05


def test_grey_and_black_and_white_become_three_equal_colours():
    grey = read(encoded(Image.fromarray(PIXELS[..., 0])))
    assert torch.equal(grey, TENSOR[:, :1].expand(-1, 3, -1, -1))
    one_bit = Image.new("1", (3, 2))
    one_bit.putpixel((2, 0), 1)
    x = read(encoded(one_bit))
    assert x[0, :, 0, 2].tolist() == [1, 1, 1] and x.sum() == 3


def test_a_palette_picture_has_its_colours_not_its_numbers():
    palette = Image.fromarray(PIXELS).quantize(6)
    assert palette.mode == "P"
    assert (read(encoded(palette)) - TENSOR).abs().max() < 0.02


def test_transparency_shows_white_and_not_the_colour_that_hides_there():
    hidden = np.dstack([PIXELS, np.array([[0, 255, 255], [255, 255, 128]], dtype=np.uint8)])
    x = read(encoded(Image.fromarray(hidden)))
    assert x[0, :, 0, 0].tolist() == [1, 1, 1], "transparent red"
    assert torch.equal(x[..., 1:2], TENSOR[..., 1:2]), "what is opaque stays"
    half = Image.new("LA", (3, 2), (0, 128))  # black, half transparent
    assert torch.allclose(read(encoded(half)), torch.tensor(127 / 255))


def test_a_transparent_palette_colour_shows_white():
    picture = Image.new("P", (3, 2), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    x = read(encoded(picture, "GIF", transparency=0))
    assert x[0, :, 0, 0].tolist() == [1, 1, 1] and x[0, :, 0, 1].tolist() == [0, 0, 1]


def test_ink_becomes_light():
    cmyk = Image.new("CMYK", (3, 2), (0, 255, 255, 0))  # magenta and yellow make red
    assert torch.equal(read(encoded(cmyk, "TIFF"))[0, :, 0, 0], torch.tensor([1.0, 0, 0]))


def test_sixteen_bits_are_scaled_and_not_clipped():
    deep = np.array([[0, 1000, 2000], [30000, 60000, 65535]], dtype=np.uint16)
    x = read(encoded(Image.fromarray(deep)), say=silent)
    assert_pixels(x)
    torch.testing.assert_close(x[0, 1], torch.from_numpy(deep / 65535).float())


def test_float_pictures_in_range_are_kept_and_others_refused():
    values = np.array([[0, 0.25, 1], [0.5, 0.75, 0.1]], dtype=np.float32)
    assert torch.equal(read(encoded(Image.fromarray(values), "TIFF"))[0, 2], torch.from_numpy(values))
    for wrong in (values * 255, values - 1, values * np.nan):
        with pytest.raises(InputError, match="values beyond 16 bits or outside"):
            read(encoded(Image.fromarray(wrong), "TIFF"))


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_stands_as_the_camera_was_held(turn):
    # EXIF 2.3, tag 0x0112: where row 0 and column 0 of the stored picture are seen.
    stored = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS),
        7: np.rot90(PIXELS.transpose(1, 0, 2), 2),
        8: np.rot90(PIXELS, -1),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    assert torch.equal(read(encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)), TENSOR)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_pictures_the_first_is_used_and_that_is_said(kind):
    said, red, blue = [], Image.new("RGB", (6, 4), "red"), Image.new("RGB", (6, 4), "blue")
    options = {"lossless": True} if kind == "WEBP" else {}
    x = read(encoded(red, kind, save_all=True, append_images=[blue, red], **options), name="a.gif", say=said.append)
    assert x[0, :, 0, 0].tolist() == [1, 0, 0]
    assert said == ["'a.gif' holds 3 pictures; the first is used."]


# Size


def test_a_large_picture_is_made_smaller_and_that_is_said(tmp_path):
    said, path = [], tmp_path / "large.png"
    Image.linear_gradient("L").resize((2048, 512)).save(path)
    x = read(path, say=said.append)
    assert_pixels(x)
    assert x.shape == (1, 3, 256, 1024)
    assert said == ["'large.png' was made smaller, from 2048 x 512 to 1024 x 256 pixels."]
    assert read(path, 64, say=silent).shape == (1, 3, 64, 64), "a size was asked for: nothing to tell"


def test_a_sixteen_bit_picture_is_made_smaller_too():
    deep = np.full((1100, 1200), 40000, dtype=np.uint16)
    x = read(encoded(Image.fromarray(deep)), say=lambda _: None)
    assert x.shape == (1, 3, 939, 1024) and torch.allclose(x, torch.tensor(40000 / 65535))
    assert torch.allclose(read(encoded(Image.fromarray(deep)), 8), torch.tensor(40000 / 65535))


def chunk(name, data):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("side", [7_100, 10_000, 20_000])  # past our own limit, Pillow's warning, Pillow's error
def test_a_bomb_is_refused_by_its_header_alone(side, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("it was decoded"))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with warnings.catch_warnings(), pytest.raises(InputError, match="pixels.*save it smaller"):
        warnings.simplefilter("default")
        read(bomb)


def test_the_largest_picture_is_fifty_million_pixels():
    with pytest.raises(InputError, match=r"'p' has 7100 x 7100 = 50,410,000 pixels, at most 50,000,000 are decoded"):
        photographs._refuse_bomb((7100, 7100), "'p'")
    photographs._refuse_bomb((10_000, 5_000), "'p'")


def test_a_file_that_is_too_large_is_not_even_read(tmp_path):
    path = tmp_path / "film.png"
    with open(path, "wb") as file:
        file.truncate(200_000_001)  # a hole: takes no room
    with pytest.raises(InputError, match="'film.png' has 200,000,001 bytes, at most 200,000,000 are read"):
        read(path)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "64", 5000])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(InputError, match="size must be a whole number of pixels from 1 to 4096, got"):
        read(encoded(Image.fromarray(PIXELS)), size)


def test_one_pixel_can_be_read_and_enlarged():
    lime = read(encoded(Image.new("RGB", (1, 1), "lime")), 8)
    assert torch.equal(lime, torch.tensor([0, 1.0, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))


# Damage


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"an empty file \(0 bytes\)"),
        (b"hello, this is no picture", r"text \(25 bytes\)"),
        (b"<!doctype html><p>Not found", r"an HTML page \(27 bytes\)"),
        (b"%PDF-1.7\n\0", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "text"),  # Pillow would start Ghostscript for it
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC photograph"),
        (b"\x00\x01\x02\x03" * 9, "binary data of an unknown kind"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, data, words):
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    with pytest.raises(FileError, match=f"'holiday.png' cannot be read as a picture, it is {words}.*as PNG or JPEG"):
        read(path)


FORMATS = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("kind", "options"), FORMATS)
def test_a_file_cut_off_anywhere_gives_the_whole_picture_or_an_error(kind, options):
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)), kind, **options)
    whole, refused = read(data), 0
    for end in range(0, len(data), max(1, len(data) // 60)):
        try:
            assert torch.equal(read(data[:end]), whole), f"cut at {end} of {len(data)} bytes: another picture"
        except FileError:
            refused += 1
    assert refused > 50
    with pytest.raises(FileError, match="'picture' is damaged or incomplete .*; get it again, or save it anew"):
        read(data[: len(data) * 2 // 3])


def test_pillow_is_never_told_to_fill_up_what_is_missing():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_torn_notes_beside_a_whole_picture_do_no_harm():
    picture = Image.fromarray(np.tile(PIXELS, (8, 8, 1)))
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x06"
    assert read(encoded(picture, "JPEG", exif=exif), say=silent).shape[0] == 1


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(FileError, match="pipe.png' is a pipe or a device"):
        read(tmp_path / "pipe.png")
    with pytest.raises(FileError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(FileError, match="loop.png' cannot be read"):
        read(tmp_path / "loop.png")
    with pytest.raises(FileError, match="none.png' cannot be read: No such file"):
        read(tmp_path / "none.png")


# Uploads


def upload(name, data):
    """What ipywidgets.FileUpload holds for one file."""
    now = datetime.datetime.now(datetime.UTC)
    return {"name": name, "type": "image/png", "size": len(data), "content": memoryview(data), "last_modified": now}


def test_the_newest_upload_is_read():
    import ipywidgets

    widget = ipywidgets.FileUpload(multiple=True)
    widget.value = (
        upload("a.png", encoded(Image.new("RGB", (2, 2), "red"))),
        upload("b.png", encoded(Image.fromarray(PIXELS))),
    )
    assert torch.equal(from_upload(widget.value), TENSOR)
    assert torch.equal(from_upload(widget.value[1]), TENSOR)
    assert from_upload(widget.value, 16).shape == (1, 3, 16, 16)


def test_no_upload_and_a_bad_upload_are_told():
    with pytest.raises(InputError, match="no picture was uploaded yet; press the button"):
        from_upload(())
    with pytest.raises(FileError, match="'résumé.png' cannot be read as a picture, it is text"):
        from_upload((upload("résumé.png", b"Dear Sir or Madam"),))


# Cropping


def test_the_centre_square_is_in_the_centre():
    assert centre_square(4, 4) == (0, 0, 4, 4)
    assert centre_square(7, 4) == (1, 0, 5, 4)
    assert centre_square(4, 8) == (0, 2, 4, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cropping_averages_the_middle(dtype):
    x = torch.zeros(2, 3, 4, 8, dtype=dtype)
    x[1, :, :2, 2:4] = 1  # the upper left quarter of the centre square of the second picture
    x[..., :2] = 1  # outside of it
    cropped = crop_to(x, 4)
    assert torch.equal(cropped, x[..., 2:6]) and cropped.dtype == dtype
    flat = crop_to(x, 1)
    torch.testing.assert_close(flat[:, 0, 0, 0], torch.tensor([0, 0.25], dtype=dtype))


def test_cropping_agrees_with_torchvision():
    from torchvision.transforms.v2 import functional

    x = torch.rand(2, 3, 90, 70, generator=torch.Generator().manual_seed(0))
    theirs = functional.resize(functional.center_crop(x, [70, 70]), [31, 31], antialias=True)
    torch.testing.assert_close(crop_to(x, 31), theirs)


def test_reading_with_a_size_is_reading_and_cropping():
    torch.testing.assert_close(photograph("coffee", 64), crop_to(photograph("coffee"), 64), atol=1.6 / 255, rtol=0)


def test_cropping_leaves_its_input_alone_and_keeps_the_range():
    x = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1)).round()  # black and white: overshoot shows
    before = x.clone()
    for size in (1, 3, 7, 50):
        assert 0 <= crop_to(x, size).min() and crop_to(x, size).max() <= 1
    assert torch.equal(x, before)
    assert crop_to(x[:0], 4).shape == (0, 3, 4, 4)


def test_cropping_refuses_what_breaks_the_pixel_contract():
    with pytest.raises(InputError, match="uint8"):
        crop_to(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 2)
    with pytest.raises(InputError, match="four axes"):
        crop_to(torch.zeros(3, 4, 4), 2)
    with pytest.raises(InputError, match="size must be a whole number"):
        crop_to(torch.zeros(1, 3, 4, 4), 0)
