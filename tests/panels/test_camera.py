"""The kernel's side of the camera; that a browser sends pictures is shown in ``tests/browser/test_camera.py``."""

import builtins
import io

import pytest
from PIL import Image

from lecturekit.errors import InputError
from lecturekit.panels import DeconvNet
from lecturekit.panels import camera as cameras
from lecturekit.panels import controls as knobs
from lecturekit.panels.camera import CLOSED, MISSING, OPENED, TAKEN, WAITING, Camera

pytest.importorskip("ipywebrtc", reason="the camera's widgets are not installed: pip install ipywebrtc")


def photograph(colour=(255, 0, 0)):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(stream, "PNG")
    return stream.getvalue()


def seen(camera):
    buttons = {"open": camera.open_button, "take": camera.take_button, "shut": camera.shut_button}
    return [name for name, button in buttons.items() if button.layout.display != "none"]


def test_it_is_off_until_somebody_opens_it():
    camera = Camera()
    assert not camera.on
    assert camera._place.children == ()
    assert (seen(camera), camera.value) == (["open"], b"")
    assert CLOSED in camera._says.value
    camera.take()
    assert not camera.on


def test_opened_it_asks_for_pictures_without_sound_and_shows_what_it_sees():
    camera = Camera()
    camera.open_button.click()
    assert camera.on
    assert camera._place.children[0].constraints["audio"] is False
    assert camera._place.children[0].constraints["video"]
    assert seen(camera) == ["take", "shut"]
    assert OPENED in camera._says.value


def test_the_picture_that_the_browser_sends_becomes_the_value():
    camera, told = Camera(), []
    camera.observe(lambda event: told.append(event["new"]), names="value")
    camera.switch_on()
    camera.take_button.click()
    assert camera._recorder.recording
    assert WAITING in camera._says.value
    camera._recorder.image.value = photograph()
    assert told == [photograph()] == [camera.value]
    assert TAKEN in camera._says.value


def test_a_picture_that_never_came_can_be_asked_for_again():
    camera, asked = Camera(), []
    camera.switch_on()
    camera._recorder.observe(lambda event: asked.append(event["new"]), names="recording")
    camera.take()
    camera.take()
    assert asked == [True, False, True], "without the False the browser would hear nothing the second time"


def test_closed_it_lets_go_of_the_camera_and_keeps_the_picture():
    camera = Camera()
    camera.switch_on()
    stream, recorder = camera._stream, camera._recorder
    recorder.image.value = photograph()
    camera.shut_button.click()
    assert [widget.comm for widget in (stream, recorder, recorder.image)] == [None] * 3
    assert not camera.on
    assert camera.value == photograph()
    assert seen(camera) == ["open"]
    camera.switch_on()
    assert camera.on, "it can be opened again"


def test_nothing_is_ever_written_or_downloaded(monkeypatch):
    camera = Camera()
    camera.switch_on()
    assert not camera._recorder.autosave
    monkeypatch.setattr(builtins, "open", lambda *_, **__: pytest.fail("a file is opened"))
    camera._recorder.image.value = photograph()
    assert camera.value


def test_a_panel_shows_the_photograph_and_forgets_it_with_a_reset(networks):
    panel = DeconvNet(networks, layer="conv2", filter=18)
    panel.set(world="camera", camera=photograph())
    assert panel.trouble is None
    assert panel.picture.caption.startswith("taken with the camera\n")
    panel.reset()
    assert panel.wait(20)
    assert panel.settings()["camera"] == b""
    assert "number 5" in panel.picture.caption


def test_a_screen_reader_hears_of_the_photograph_and_not_its_bytes(networks):
    panel = DeconvNet(networks, layer="conv2", filter=18, world="camera")
    assert knobs.spoken(panel.controls["camera"]) == "Camera: no photograph"
    panel.controls["camera"].value = photograph()
    assert panel.wait(20)
    assert panel.trouble is None
    assert panel.controls["camera"].value == photograph()
    assert knobs.spoken(panel.controls["camera"]) == "Camera: a photograph"


def test_a_panel_without_a_photograph_says_what_to_do_and_works_on(networks):
    panel = DeconvNet(networks, layer="conv2", filter=7)
    panel.set(world="camera")
    with pytest.raises(InputError, match="no picture was taken yet; open the camera"):
        panel.result  # noqa: B018  asking is what raises
    assert panel.set(world="picturebook").trouble is None


def test_a_panel_that_is_closed_switches_the_camera_off(networks):
    panel = DeconvNet(networks, layer="conv2", filter=7)
    camera = panel.controls["camera"]
    camera.switch_on()
    panel.close()
    assert not camera.on


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cameras, "installed", lambda: False)
    camera = Camera()
    assert camera.open_button.disabled
    assert "pip install ipywebrtc" in MISSING
    assert MISSING[:40] in camera._says.value
