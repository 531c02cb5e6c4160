"""Settings of `maximise` that work, layer by layer: ``maximise(model, "conv4", channel(12), **tuned("conv4"))``.

Chosen by looking at the filters of all shipped networks and by the score of the finished picture, measured without any
view.  The deeper the layer, the larger its patterns, and the more the picture may move without tearing them.  A rate of
0.05, usual in the literature, leaves pictures of 64 pixels grey after a hundred steps.
"""

from lecturekit.features.views import views

# layer: jitter in pixels, scale, degrees, blur in pixels, rate
SETTINGS = {
    "conv1": (1, 0.0, 0.0, 0.0, 0.10),
    "conv2": (2, 0.0, 0.0, 0.0, 0.20),
    "conv3": (4, 0.05, 5.0, 0.0, 0.25),
    "conv4": (6, 0.05, 5.0, 0.0, 0.30),
    "conv5": (8, 0.05, 5.0, 0.0, 0.30),
    "fc6": (8, 0.10, 8.0, 0.0, 0.30),
    "fc7": (8, 0.10, 8.0, 0.0, 0.30),
    "fc8": (8, 0.10, 8.0, 0.0, 0.30),
}
OTHER = (8, 0.10, 8.0, 1.0, 0.60)  # for pictures of 128 pixels and more
STEPS = 128


def tuned(layer):
    """Return the arguments of `maximise` that suit a layer.

    Args:
        layer: a layer of the course's network; ``relu`` and ``pool`` layers take what suits the layer before them.  Any
            other name gets what suits the middle of an ImageNet network and pictures of 128 pixels.
    Returns: a dict with ``view``, ``steps`` and ``rate``.
    """
    number = layer.removeprefix("relu").removeprefix("pool")
    near = layer if layer in SETTINGS else f"fc{number}" if number in ("6", "7", "8") else f"conv{number}"
    jitter, scale, degrees, blur, rate = SETTINGS.get(near, OTHER)
    return {"view": views(jitter=jitter, scale=scale, degrees=degrees, blur=blur), "steps": STEPS, "rate": rate}
