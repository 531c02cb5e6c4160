"""What exercises hand out: drawings, codes and targets, which a student's own number chooses."""

import torch

from lecturekit.course.given import client_net, fortress, sick_picturebook
from lecturekit.pictures.picturebook import CLASSES, PictureBook, draw, faces, seeds


def quarry(variant=0):
    """Return a drawing to attack: the picture (1, 3, 64, 64) in [0, 1], its class, and the class that is wanted."""
    x, y = drawing(7 * variant % 100)
    return x, y, (y + 3 + variant) % len(CLASSES)


def drawing(k):
    """Return picture ``k`` of the test book (1, 3, 64, 64) and its class; a book would draw them all."""
    scene = draw(seeds("test")[k])
    return torch.from_numpy(scene.image)[None].permute(0, 3, 1, 2) / 255, int(scene.label)


def listener(variant=0):
    """Return the number of a filter of the first layer."""
    return (11 * variant + 5) % 32


def lost(variant=0):
    """Return the drawing (1, 3, 64, 64) of which only a code is handed out: to be looked at afterwards."""
    return quarry(variant + 3)[0]


def code_to_invert(variant=0):
    """Return what conv2 of the course's network answers to a drawing that is not shown, (1, 64, 32, 32)."""
    from lecturekit import networks

    return networks.load("picturebook")[:5](lost(variant))  # normalize, conv1, relu1, pool1, conv2


def patient(variant=0):
    """Return a network after an accident, and 40 drawings (40, 3, 64, 64) to examine it with."""
    return sick_picturebook(variant=variant).build(), PictureBook("test", 40).tensors()


def lineup(variant=0):
    """Return a gallery of 20 people, one picture each (20, 3, 64, 64), their numbers (20,), and a stolen code (1, 96).

    The code is what the network ``people`` says in its layer ``embedding`` of another picture of one of them.
    """
    from lecturekit import capture, networks

    who, wanted = suspects(variant)
    gallery, people = faces(who, 1, "validation")
    see = capture.cut(networks.load("people"), "embedding")
    with torch.no_grad():
        known, codes = see(gallery), see(faces([wanted], 4, "test")[0])
    likeness = torch.nn.functional.normalize(codes) @ torch.nn.functional.normalize(known).T
    k = int((people[likeness.argmax(1)] == wanted).int().argmax())  # the first of four that can be found
    return gallery, people, codes[k : k + 1]


def suspects(variant):
    """Return 20 people of whom the network ``people`` was never told, and the one among them whose code was stolen."""
    random = torch.Generator().manual_seed(7000 + variant)
    who = torch.randperm(500, generator=random)[:20].sort().values.tolist()
    return who, who[int(torch.randint(20, (), generator=random))]


def sent_gradient(variant=0):
    """Return a client's network, and the gradient of its loss on one picture: (16, 12288), (16,), (10, 16), (10,)."""
    model = client_net(seed=variant).build()
    x, y = private_picture(variant)
    loss = torch.nn.functional.cross_entropy(model(x), torch.tensor([y]))
    return model, [each.detach() for each in torch.autograd.grad(loss, list(model.parameters()))]


def private_picture(variant):
    """Return the picture of a client (1, 3, 64, 64) in [0, 1], which never leaves his telephone, and its class."""
    return drawing(500 + variant % 1000)


def stronghold(variant=0):
    """Return a network that is said to be safe, a picture (1, 3, 64, 64) that it names rightly, and its class.

    Pictures of which the network is surer than by 20 logits are passed over: plain PGD does not reach all of those.
    """
    net, book, k = fortress().build(), PictureBook("test", 100), 11 * variant % 100
    while True:
        x, y = book.tensors(slice(k, k + 1)), int(book.labels[k])
        with torch.no_grad():
            (first, second), named = net(x)[0].topk(2)
        if int(named[0]) == y and (first - second) / net[2].times < 20:
            return net, x, y
        k = (k + 1) % 100


SMALL = 16  # pixels a side of the pictures that a linear inverse paints
TAPPED = 6 * 4 * 4  # values of its codes


def small(x):
    """Shrink drawings (N, 3, 64, 64) to (N, 3, 16, 16)."""
    return torch.nn.functional.avg_pool2d(x, x.shape[-1] // SMALL)


def tapped(x, variant=0):
    """Return what six filters of the first layer say in 4 x 4 places of drawings (N, 3, 64, 64): codes (N, 96)."""
    from lecturekit import capture, networks

    filters = torch.randperm(32, generator=torch.Generator().manual_seed(variant))[:6]
    with torch.no_grad():
        maps = capture.cut(networks.load("picturebook"), "pool1")(x)[:, filters]
    return torch.nn.functional.adaptive_avg_pool2d(maps, 4).flatten(1)


def lessons(variant=0):
    """Return 120 drawings to learn from: codes (120, 96), and small pictures (120, 3, 16, 16) in [0, 1]."""
    x = PictureBook("train", 120).tensors()
    return tapped(x, variant), small(x)


def unit(variant=0):
    """Return the layers conv1 ... relu3 of the course's network, a drawing as conv1 sees it, and a filter's number.

    The drawing (1, 3, 64, 64) is normalised already, so it has both signs.  The filter answers it.
    """
    from lecturekit import networks

    normalize, *layers = list(networks.load("picturebook"))[:9]
    x = normalize(PictureBook("test", 60).tensors(slice(variant % 60, variant % 60 + 1)))
    part = torch.nn.Sequential(*layers)
    with torch.no_grad():
        loudest = part(x)[0].amax((1, 2)).argsort(descending=True)
    return part, x, int(loudest[2 + variant // 60 % 10])
