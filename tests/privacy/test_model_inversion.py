"""Model inversion: steps written out by hand, eigenfaces by another algorithm, planted regions, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lecturekit.attacks.fit import small_net
from lecturekit.errors import InputError, ModelError
from lecturekit.privacy.model_inversion import (
    Eigenfaces,
    ask_only,
    confidences,
    label_only,
    look_alike,
    mi_face,
    regression,
    rounded,
)
from lecturekit.progress import STOP

SIZE = (3, 4, 6)
LABEL = torch.tensor([0, 1])


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def linear(classes=3, scale=1.0, seed=0):
    """A network with one linear layer on 3x4x6 pixels."""
    layer = nn.Linear(72, classes)
    with torch.no_grad():
        layer.weight.copy_(scale * (random(classes, 72, seed=seed) - 0.5))
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer).eval()


def answering(*said):
    """A service that says the same about every picture."""
    return lambda x: torch.tensor(said).expand(len(x), -1)


# The service


def test_confidences_are_the_softmax():
    model, x = linear(), random(5, *SIZE)
    said = confidences(model)(x)
    assert torch.allclose(said, model(x).softmax(1))
    assert not said.requires_grad


def test_rounded_to_one_digit():
    api = rounded(answering(0.64, 0.349, 0.011), 1)
    assert torch.allclose(api(random(2, *SIZE)), torch.tensor([[0.6, 0.3, 0.0]] * 2))


def test_label_only_keeps_the_name():
    assert label_only(answering(0.2, 0.5, 0.3))(random(2, *SIZE)).tolist() == [[0, 1, 0]] * 2


def test_regression_reaches_the_minimum_of_its_loss():
    x, people = random(12, *SIZE), torch.arange(12) % 3
    model = regression(x, people, decay=1e-2, steps=200)
    layer = model[1]
    loss = cross_entropy(model(x), people) + 1e-2 * layer.weight.square().sum()
    gradients = torch.autograd.grad(loss, list(layer.parameters()))
    assert max(g.abs().max() for g in gradients) < 1e-3
    assert loss < math.log(3) - 0.05  # of the network that knows nothing
    assert not model.training


def test_regression_needs_no_luck():
    x, people = random(12, *SIZE), torch.arange(12) % 3
    assert torch.equal(regression(x, people)(x), regression(x, people)(x))


# With gradients


def test_one_step_goes_along_the_gradient_by_its_length():
    """With two classes, the gradient of 1 - p_0 is a multiple of w_1 - w_0, wherever it is taken."""
    model = linear(2)
    downhill = (model[1].weight[0] - model[1].weight[1]).detach().view(SIZE)
    found = mi_face(model, torch.tensor([0, 1]), size=SIZE, steps=1, length=0.3)
    step = 0.3 * downhill / downhill.norm()
    assert torch.allclose(found.x, torch.stack([0.5 + step, 0.5 - step]), atol=1e-6)
    assert found.queries == 4  # two pictures, looked at before and after


def test_a_long_descent_ends_in_the_corner_of_the_cube():
    model, sign = linear(2), (random(72, seed=3) - 0.5).sign()
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([sign, -sign]) / 72)  # every value counts the same: none is left behind
    found = mi_face(model, torch.tensor([0]), size=SIZE, steps=20, length=1.0, enough=1.0)
    assert torch.equal(found.x[0], (sign > 0).float().view(SIZE))


def test_confidence_is_that_of_the_picture_returned():
    model, label = linear(3, 4), torch.tensor([2, 0, 1])
    found = mi_face(model, label, size=SIZE, steps=7)
    assert torch.allclose(found.confidence, confidences(model)(found.x).gather(1, label[:, None])[:, 0])
    assert 0 <= found.x.min()
    assert found.x.max() <= 1


def test_enough_confidence_ends_the_search():
    label = torch.tensor([0, 1])
    short = mi_face(linear(3, 4), label, size=SIZE, length=0.2, enough=0.6)
    long = mi_face(linear(3, 4), label, size=SIZE, length=0.2, enough=0.95)
    assert (short.confidence >= 0.6).all()
    assert (long.confidence >= 0.95).all()
    assert short.queries < long.queries
    assert short.complete


def test_all_steps_taken_is_complete():
    found = mi_face(linear(3, 4), torch.tensor([0]), size=SIZE, steps=2, length=0.01, enough=1.0)
    assert (found.complete, found.queries) == (True, 3)


def test_patience_ends_a_search_that_gets_nowhere():
    constant = linear(3, 0.0)
    assert mi_face(constant, torch.tensor([1]), size=SIZE, patience=5).queries == 6  # the first look is an improvement


def test_pictures_of_a_batch_do_not_know_each_other():
    model, label = linear(3, 4), torch.tensor([0, 1, 2])
    together = mi_face(model, label, size=SIZE, length=0.3, enough=0.8)
    single = [mi_face(model, each[None], size=SIZE, length=0.3, enough=0.8).x for each in label]
    assert torch.allclose(together.x, torch.cat(single), atol=1e-6)


def test_a_network_that_is_sure_of_somebody_else_does_not_stop_the_step():
    model = linear(2)
    with torch.no_grad():
        model[1].bias[1] = 14.0  # p_0 is 1e-6 at grey
    assert mi_face(model, torch.tensor([0]), size=SIZE, steps=3, length=0.3).x.std() > 0.01


def test_process_is_applied_to_every_step():
    found = mi_face(
        linear(3, 4), torch.tensor([0]), size=SIZE, steps=5, process=lambda x: x.mean(1, keepdim=True).expand_as(x)
    )
    assert torch.equal(found.x[:, 0], found.x[:, 2])
    assert found.x.std() > 0


def test_stop_hands_back_the_best_so_far():
    seen = []
    found = mi_face(linear(3, 4), torch.tensor([0]), size=SIZE, length=0.05, enough=1.0,
                    watch=lambda step: seen.append(step) or (STOP if step.done == 3 else None))  # fmt: skip
    assert not found.complete
    assert [step.done for step in seen] == [0, 1, 2, 3]
    assert torch.equal(found.x, seen[-1].picture)
    assert seen[-1].loss < seen[0].loss


def test_the_last_report_is_of_the_whole_even_if_the_search_ended_early():
    seen = []
    mi_face(linear(3, 4), torch.tensor([0]), size=SIZE, enough=0.5, watch=seen.append)
    assert seen[-1].done == seen[-1].total == 300


def ctrl_c(step):
    if step.done == 3:
        raise KeyboardInterrupt


def test_ctrl_c_hands_back_the_best_so_far():
    label = torch.tensor([0, 1])
    found = mi_face(linear(3, 4), label, size=SIZE, length=0.05, enough=1.0, watch=ctrl_c)
    assert (found.complete, found.queries) == (False, 8)
    assert found.confidence.min() > confidences(linear(3, 4))(torch.full((1, *SIZE), 0.5))[0, :2].min()
    found = ask_only(bell, label, FACES, start(), steps=9, pairs=4, watch=ctrl_c)
    assert (found.complete, found.queries) == (False, 2 * 8 * 3 + 2)


def test_weights_and_their_gradients_are_left_alone():
    model = linear()
    mi_face(model, torch.tensor([0]), size=SIZE, steps=2)
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


# Eigenfaces


def test_eigenfaces_are_the_eigenvectors_of_the_covariance():
    x = random(30, *SIZE).double()
    faces = Eigenfaces.of(x, 5)
    values, vectors = np.linalg.eigh(np.cov(x.flatten(1).numpy().T, bias=True))
    found = faces.directions.flatten(1)
    for k in range(5):
        expected = vectors[:, -1 - k] * values[-1 - k] ** 0.5
        assert min(np.abs(found[k].numpy() - s * expected).max() for s in (1, -1)) < 1e-8
    assert torch.allclose(faces.code(x).var(0, unbiased=False), torch.ones(5).double())


def test_with_all_directions_a_face_comes_back():
    x = random(8, *SIZE).double()
    faces = Eigenfaces.of(x, 7)
    assert torch.allclose(faces.face(faces.code(x)), x)
    assert torch.allclose(faces.face(torch.zeros(2, 7).double()), faces.mean.expand(2, *SIZE))


# Without gradients


def test_the_look_alike_is_the_face_with_the_largest_confidence():
    model, public, label = linear(3, 4), random(20, *SIZE), torch.tensor([2, 0])
    found = look_alike(confidences(model), label, public)
    said = model(public).softmax(1)
    for k, y in enumerate([2, 0]):
        best = max(range(20), key=lambda i: said[i, y])
        assert torch.equal(found.x[k], public[best])
        assert found.confidence[k] == pytest.approx(said[best, y].item())
    assert found.queries == 20


FACES = Eigenfaces(torch.full((1, *SIZE), 0.5), 0.05 * torch.eye(72)[:4].view(4, *SIZE))
TARGET = torch.tensor([[1.0, -1.0, 0.5, 0.0], [-1.0, 0.0, 0.0, 1.5]])


def bell(x):
    """A service that is surest of two people at two places among the faces."""
    near = (-torch.cdist(FACES.code(x), TARGET).square()).exp()
    return torch.cat([0.5 * near, 1 - 0.5 * near.sum(1, keepdim=True)], dim=1)


def start():
    return FACES.face(torch.zeros(2, 4))


def test_questions_alone_lead_to_where_the_network_is_surest():
    found = ask_only(bell, torch.tensor([0, 1]), FACES, start(), steps=40, rate=0.1)
    assert (FACES.code(found.x) - TARGET).norm(dim=1).max() < 0.5
    assert torch.allclose(found.confidence, bell(found.x)[:, :2].diagonal())


def test_a_name_alone_leads_to_the_middle_of_its_region():
    """The region is a ball around the target; the search begins near its edge."""

    def ball(x):
        inside = (torch.cdist(FACES.code(x), TARGET) < 1.0).float()
        return torch.cat([inside, 1 - inside.sum(1, keepdim=True)], dim=1)

    edge = FACES.face(TARGET + 0.9 * torch.tensor([1.0, 0, 0, 0]))
    found = ask_only(ball, torch.tensor([0, 1]), FACES, edge, steps=40, reach=0.5, rate=0.1)
    assert (FACES.code(found.x) - TARGET).norm(dim=1).max() < 0.5


def test_every_question_is_counted():
    asked = []

    def counting(x):
        asked.append(len(x))
        return bell(x)

    assert ask_only(counting, torch.tensor([0, 1]), FACES, start(), steps=3, pairs=4).queries == sum(asked)
    asked.clear()
    found = ask_only(counting, torch.tensor([0, 1]), FACES, start(), steps=3, pairs=4, watch=lambda _: STOP)
    assert found.queries == sum(asked)
    assert not found.complete


def test_the_seed_decides():
    runs = [ask_only(bell, torch.tensor([0, 1]), FACES, start(), steps=3, seed=seed).x for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_service_that_always_says_the_same_tells_nothing():
    found = ask_only(answering(0.2, 0.3, 0.5), torch.tensor([0, 1]), FACES, start(), steps=3)
    assert torch.allclose(found.x, start())


def test_each_name_keeps_its_own_best_face():
    """The first begins at its target and can only lose; the second begins far away and can only win."""
    both = FACES.face(torch.stack([TARGET[0], torch.zeros(4)]))
    found = ask_only(bell, torch.tensor([0, 1]), FACES, both, steps=4, reach=0.1, rate=0.2)
    assert torch.allclose(found.x[0], both[0])
    assert (found.x[1] - both[1]).abs().max() > 0.01


def test_it_asks_as_far_around_as_it_was_told():
    asked = []
    ask_only(lambda x: asked.append(FACES.code(x)) or bell(x), LABEL, FACES, start(), steps=1, pairs=200, reach=0.2)
    assert asked[0].std() == pytest.approx(0.2, rel=0.05)
    assert torch.allclose(asked[0].view(2, 2, 200, 4).sum(1), torch.zeros(2, 200, 4), atol=1e-5)  # forwards, backwards


def test_it_reports_the_logarithm_of_what_is_said():
    seen = []
    ask_only(answering(0.2, 0.3, 0.5), LABEL, FACES, start(), steps=1, watch=seen.append)
    assert seen[-1].loss == pytest.approx(-(math.log(0.2) + math.log(0.3)) / 2)
    ask_only(answering(0.0, 0.0, 1.0), LABEL, FACES, start(), steps=1, watch=seen.append)
    assert seen[-1].loss == pytest.approx(-math.log(1e-6))


# What is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mi_face(linear(), 3, size=SIZE), r"label must name the people to look for, \(N,\) int64.*got int"),
        (lambda: mi_face(linear(), torch.tensor([3]), size=SIZE), "labels must lie in 0 to 2, got 3 to 3"),
        (lambda: mi_face(linear(), LABEL, size=SIZE, length=0), "length must be above 0, e.g. 3.0, got 0"),
        (lambda: mi_face(linear(), LABEL, size=SIZE, steps=0), "steps must be a whole number from 1 on but is 0"),
        (lambda: mi_face(linear(), LABEL, size=SIZE, patience=0.5), "patience must be a whole number"),
        (lambda: rounded(bell, 0), "digits must be a whole number from 1 on"),
        (lambda: Eigenfaces.of(random(5, *SIZE), 5), "5 pictures differ in at most 4 directions; 5 were asked for"),
        (lambda: look_alike(bell, LABEL, random(0, *SIZE)), "public holds no picture to ask about"),
        (lambda: look_alike(bell, torch.tensor([7]), random(2, *SIZE)), "labels must lie in 0 to 2, got 7 to 7"),
        (lambda: ask_only(bell, LABEL, FACES, start()[:1]), "start must hold one face for each of 2 labels, got 1"),
        (lambda: ask_only(bell, LABEL.float(), FACES, start()), "label must be 2 whole numbers"),
        (lambda: regression(random(3, *SIZE), LABEL), "people must be 3 whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ModelError, match=r"needs model.eval\(\)"):
        mi_face(small_net(3), LABEL)


@pytest.mark.parametrize("said", [(-3.0, 0.4), (0.2, 4.0)])
def test_a_service_that_gives_logits_is_refused(said):
    with pytest.raises(
        ModelError, match=r"must answer with confidences \(N, K\) between 0 and 1; confidences\(model\)"
    ):
        look_alike(answering(*said), LABEL, random(2, *SIZE))
