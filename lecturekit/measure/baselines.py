"""What one gets for nothing.  A reconstruction is worth what it is better than these.

``mean_image``         the best guess, under squared error, of somebody who has not seen the code
``nearest_neighbour``  a picture that existed before; a "reconstruction" that only finds it is a search
``shuffle_code``       the same numbers in random order: whatever still appears comes from the prior
"""

import dataclasses

import torch

from lecturekit.errors import InputError
from lecturekit.measure.intervals import Interval, proportion
from lecturekit.pixels import check_pixels

BLOCK = 2**24  # numbers held at once while comparing: 128 MB


def mean_image(images):
    """Return the mean of all pictures, (1, C, H, W): nothing scores a better mean PSNR without looking at the code.

    Args:
        images: (N, C, H, W) in [0, 1], at least one; those of the training set, not those that are measured.
    """
    check_pixels(images, "images")
    if not len(images):
        raise InputError("the mean of no pictures is not defined; pass at least one")
    return images.double().mean(dim=0, keepdim=True).to(images.dtype)


def nearest_neighbour(x, gallery):
    """Return for each ``x`` the nearest item of a gallery: index (N,) and Euclidean distance (N,).

    Args:
        x: pictures or codes (N, ...).
        gallery: (M, ...), of the same shape apart from the first axis, at least one.
    Raises: InputError for an empty gallery or different shapes.
    """
    _check_gallery(x, gallery)
    best = [block.min(dim=1).indices for block in _squared_distances(x, gallery)]
    index = torch.cat(best) if best else torch.zeros(0, dtype=torch.long, device=x.device)
    return index, (x - gallery[index]).flatten(1).norm(dim=1)  # anew: the product form below rounds near zero


def shuffle_code(phi, seed=0):
    """Return each code with its values in random order, the same shape (N, ...).

    The control for "the prior paints what we want to see": every number is still there, but where it stood is lost, and
    with it what it said about the picture.

    Args:
        phi: codes (N, ...).
        seed: of the order, which is another one for each code.
    """
    generator = torch.Generator().manual_seed(seed)  # on the processor: the same order on every device
    shuffled = torch.empty_like(phi)
    for code, target in zip(phi, shuffled, strict=True):
        order = torch.randperm(code.numel(), generator=generator).to(phi.device)
        target.copy_(code.flatten()[order].view(code.shape))
    return shuffled


@dataclasses.dataclass(frozen=True)
class Retrieval:
    """How often a reconstruction leads back to its original.

    Attributes:
        ranks: for each reconstruction, how many pictures of the gallery are at least as near as the right one, (N,);
            0 means found.
        top: share of reconstructions whose right picture is among the k nearest, for each k.
        chance: the share that guessing reaches, for each k.
    """

    ranks: torch.Tensor
    top: dict[int, Interval]
    chance: dict[int, float]


def retrieval(x, gallery, right=None, k=(1, 5)):
    """Ask of each reconstruction whether the nearest picture of a gallery is the right one.  This is re-identification.

    Equally near pictures count against it, so that a constant reconstruction does not win by luck.

    Args:
        x: reconstructions (N, ...), pictures or codes.
        gallery: (M, ...), with the originals among them.
        right: index of the original of each reconstruction in the gallery, (N,); 0, 1, 2 ... if None.
        k: the sizes of the short list.
    Returns: a `Retrieval`.
    Raises: InputError for shapes, indices or k that cannot be.
    """
    _check_gallery(x, gallery)
    right = torch.arange(len(x)) if right is None else torch.as_tensor(right)
    if right.shape != (len(x),) or not len(x) or right.min() < 0 or right.max() >= len(gallery):
        raise InputError(
            f"right must name one of the {len(gallery)} gallery pictures for each of {len(x)} reconstructions, "
            f"got {len(right)} indices" + (f" from {right.min()} to {right.max()}" if right.numel() else "")
        )
    if not all(1 <= size <= len(gallery) for size in k):
        raise InputError(f"k must lie between 1 and the {len(gallery)} pictures of the gallery, got {tuple(k)}")
    right, ranks, done = right.to(x.device), [], 0
    for block in _squared_distances(x, gallery):
        own = block.gather(1, right[done : done + len(block), None])  # distance to the right picture
        ranks.append((block <= own).sum(dim=1) - 1)  # without the right picture itself
        done += len(block)
    ranks = torch.cat(ranks)
    top = {size: proportion((ranks < size).sum(), len(ranks)) for size in k}
    return Retrieval(ranks, top, {size: size / len(gallery) for size in k})


def _squared_distances(x, gallery):
    """Yield blocks (n, M) of squared distances in double precision; the blocks together are (N, M)."""
    gallery = gallery.flatten(1)
    norms = gallery.double().pow(2).sum(dim=1)
    rows = max(1, BLOCK // max(gallery.shape))
    for block in x.flatten(1).split(rows):
        block = block.double()
        # |a - b|^2 = |a|^2 - 2 ab + |b|^2: a matrix product instead of N M differences
        products = torch.cat([block @ part.double().T for part in gallery.split(rows)], dim=1)
        yield block.pow(2).sum(dim=1, keepdim=True) - 2 * products + norms


def _check_gallery(x, gallery):
    if not len(gallery):
        raise InputError("the gallery is empty")
    if x.shape[1:] != gallery.shape[1:]:
        raise InputError(f"x holds items of shape {tuple(x.shape[1:])}, the gallery of {tuple(gallery.shape[1:])}")
