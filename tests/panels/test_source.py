import io

import pytest
import torch
from PIL import Image

from lecturekit.errors import FileError, InputError
from lecturekit.panels import controls as knobs
from lecturekit.panels.source import CHOOSERS, WORLDS, Source
from lecturekit.pictures import photographs
from lecturekit.pictures.picturebook import PictureBook


def choose(source, **values):
    for name, value in values.items():
        knobs.put(name, source.controls[name], value)
    return source.picture({name: control.value for name, control in source.controls.items()})


def png(width, height, colour=(255, 0, 0)):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "PNG")
    return stream.getvalue()


def test_the_picture_book_shows_unseen_pictures_by_number():
    book = PictureBook("test", 8)
    chosen = choose(Source(), picture=7)
    torch.testing.assert_close(chosen.x[0], book[7][0], rtol=0, atol=0)
    assert chosen.words == "fish, number 7"


def test_photographs_are_found_by_name():
    chosen = choose(Source(size=96), world="photographs", photograph="coffee")
    torch.testing.assert_close(chosen.x, photographs.photograph("coffee", 96), rtol=0, atol=0)
    assert chosen.words == "coffee"


def test_a_file_of_ones_own_is_cut_to_its_middle():
    chosen = choose(Source(size=32), world="upload", upload=png(80, 40))
    assert chosen.x.shape == (1, 3, 32, 32)
    assert chosen.x[0, :, 5, 5].tolist() == [1, 0, 0]


def test_a_drawing_can_be_larger_than_the_network_of_the_course_wants_it():
    assert choose(Source(size=128), picture=1).x.shape == (1, 3, 128, 128)


def test_what_was_left_out_of_a_file_stands_in_the_words():
    stream = io.BytesIO()
    frames = [Image.new("P", (20, 20), i) for i in range(3)]
    frames[0].save(stream, "GIF", save_all=True, append_images=[Image.effect_noise((20, 20), 50) for _ in frames])
    assert "the first is used" in choose(Source(), world="upload", upload=stream.getvalue()).words


def test_without_a_file_the_button_is_named():
    with pytest.raises(InputError, match="no picture was uploaded yet; press the button"):
        choose(Source(), world="upload")


@pytest.mark.parametrize("content", [b"", b"plain words", png(50, 50)[:100], b"%PDF-1.4 ..."])
def test_a_file_that_is_no_picture_is_refused_with_a_sentence(content):
    with pytest.raises(FileError, match="cannot be read as a picture|is damaged or incomplete"):
        choose(Source(), world="upload", upload=content)


def test_only_the_control_that_belongs_to_the_world_is_seen():
    source = Source()
    for world, control in CHOOSERS.items():
        source.controls["world"].value = world
        seen = [name for name in CHOOSERS.values() if source.controls[name].layout.display != "none"]
        assert seen == [control]
    assert [world for _, world in WORLDS] == list(CHOOSERS)


def test_a_photograph_of_the_camera_is_decoded_like_a_file_and_named():
    photograph = png(80, 40)
    chosen = choose(Source(size=32), world="camera", camera=photograph)
    torch.testing.assert_close(chosen.x, photographs.read(photograph, 32), rtol=0, atol=0)
    assert chosen.words == "taken with the camera"


def test_what_the_camera_should_not_send_is_refused_as_a_file_would_be():
    with pytest.raises(InputError, match="no picture was taken yet; open the camera and press the button"):
        choose(Source(), world="camera")
    with pytest.raises(FileError, match="'taken with the camera' cannot be read as a picture"):
        choose(Source(), world="camera", camera=b"plain words")
    with pytest.raises(InputError, match="has 8000 x 7000 = 56,000,000 pixels, at most 50,000,000 are decoded"):
        choose(Source(), world="camera", camera=png(8000, 7000))
    with pytest.raises(InputError, match="camera cannot be 'me.jpg'"):
        choose(Source(), world="camera", camera="me.jpg")


def test_another_world_switches_the_camera_off():
    source = Source("camera")
    source.controls["camera"].switch_on()
    source.controls["camera"].value = png(8, 8)
    assert source.controls["camera"].on
    source.controls["world"].value = "upload"
    assert not source.controls["camera"].on


def test_a_picture_is_drawn_once_however_often_it_is_asked_for():
    source = Source()
    assert choose(source, picture=3).x is choose(source, picture=3).x
