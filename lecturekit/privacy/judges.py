"""Who judges a leak: networks that had no part in what they judge.

A person may say "I would not recognise her".  That is no measurement: a machine may recognise her, and another picture
of her may be found by it.  Two judges are shipped, both trained on five hundred people of the picture book whom nobody
seeks, both used to blurred pictures:

``people``   who is it?  Its *embedding* puts two pictures of one person close together, strangers included
``traits``   what is the person like, and the moment?  Skin, hair, eyes, expression, background

The trap: a judge can only fail one way.  What it recognises has leaked; what it does not recognise may still be there
for a better judge.
"""

import torch

from lecturekit import capture, measure, networks
from lecturekit.errors import InputError
from lecturekit.pictures.traits import QUESTIONS
from lecturekit.pixels import check_pixels

BATCH = 250


def embedding(x, model=None, layer="embedding"):
    """Return what a network of faces compares, one vector of length 1 for each picture, (N, D).

    The nearest of two such vectors is the one at the smallest angle.

    Args:
        x: pictures (N, C, H, W) in [0, 1].
        model: a network of faces; the shipped judge ``people`` if None.
        layer: the layer to read.
    """
    model = networks.load("people").to(x.device) if model is None else model
    return torch.nn.functional.normalize(in_batches(capture.cut(model, layer), check_pixels(x)).flatten(1), dim=1)


def read(x, model=None):
    """Return what the judge of traits reads in each picture, (N, 5): an index into the answers of each question."""
    model = networks.load("traits").to(x.device) if model is None else model
    logits = in_batches(model, check_pixels(x)).split([len(names) for names in QUESTIONS.values()], dim=1)
    return torch.stack([each.argmax(1) for each in logits], dim=1)


def traits_read(x, answers, model=None):
    """Return how often each trait is read rightly from pictures, {question: `measure.Interval`}.

    Args:
        x: pictures (N, C, H, W) in [0, 1].
        answers: what is right, (N, 5); see `pictures.traits.answers`.
        model: see `read`.
    Raises: InputError if there is not one row of answers for each picture.
    """
    answers = torch.as_tensor(answers)
    if answers.shape != (len(x), len(QUESTIONS)):
        raise InputError(
            f"answers must be ({len(x)}, {len(QUESTIONS)}), one row for each picture, but has shape "
            f"{tuple(answers.shape)}; traits.answers(portraits(...).attributes) returns such"
        )
    right = read(x, model) == answers.to(x.device)
    return {question: measure.share(column) for question, column in zip(QUESTIONS, right.T, strict=True)}


def chances(answers):
    """Return how often one is right who always gives the commonest answer, {question: share}."""
    answers = torch.as_tensor(answers)
    return {q: column.bincount().max().item() / len(column) for q, column in zip(QUESTIONS, answers.T, strict=True)}


def in_batches(function, x):
    """Apply a network without gradients, some hundred pictures at a time."""
    with torch.no_grad():
        return torch.cat([function(batch) for batch in x.split(BATCH)])
