r"""Which layers settle first?  A training run, seen from its end.

Take the network at several moments of its training and compare each layer with what it will be at last, in two ways:

=============  ====================================================================================================
``weights``    cosine between its weights then and at last
``codes``      linear CKA between its codes of the same pictures then and at last: 1 if they tell the same pictures
               apart in the same way, up to a rotation of the filters
=============  ====================================================================================================

The trap: a random first layer has a high CKA before any training, because almost any filters keep edges apart.  So
what counts is not who is *near* the end but who has gone most of the way from start to end: `Settling.settled`.

Sources: Zeiler & Fergus 2014, arXiv:1311.2901, section 4.1; Kornblith et al. 2019, arXiv:1905.00414, equation 4.
"""

import dataclasses

import torch

from lecturekit.capture import activations
from lecturekit.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settling:
    """How near each layer is to its end, at each snapshot.

    Attributes:
        layers: L names.
        weights: (S, L), cosine with the last snapshot's weights.
        codes: (S, L), linear CKA with the last snapshot's codes.
    """

    layers: tuple[str, ...]
    weights: torch.Tensor
    codes: torch.Tensor

    def settled(self, share=0.9, by="codes"):
        """Return, for each layer, the first snapshot from which on it has gone ``share`` of its way, {layer: int}.

        Args:
            share: of the way from the first snapshot to the last, in (0, 1).
            by: ``"codes"`` or ``"weights"``.
        """
        likeness = {"codes": self.codes, "weights": self.weights}[by]
        gone = 1 - (1 - likeness) / (1 - likeness[:1]).clamp(min=1e-6)  # 0 at the first snapshot, 1 at the last
        late = (gone < share).int()
        moments = torch.where(late.any(dim=0), len(late) - late.flip(0).argmax(dim=0), 0)  # after the last late one
        return dict(zip(self.layers, moments.tolist(), strict=True))


def settling(snapshots, x, layers):
    """Compare every snapshot of a training run with the last, layer by layer.

    Args:
        snapshots: networks of one shape, in the order of training, at least two.
        x: pictures (N, C, H, W) in [0, 1], at least ten.
        layers: names of layers with weights.
    Returns: a `Settling`.
    Raises: InputError for fewer than two snapshots or ten pictures, or a layer without weights.
    """
    snapshots = list(snapshots)
    if len(snapshots) < 2 or len(x) < 10:
        raise InputError(
            f"settling compares at least two snapshots on at least ten pictures, got {len(snapshots)} and {len(x)}"
        )
    without = [name for name in layers if getattr(snapshots[-1].get_submodule(name), "weight", None) is None]
    if without:
        raise InputError(f"{', '.join(without)} has no weights that could settle; name convolutional or linear layers")
    last = activations(snapshots[-1], x, *layers)
    weights = [[_cosine(one, snapshots[-1], name) for name in layers] for one in snapshots]
    codes = []
    for snapshot in snapshots:
        seen = activations(snapshot, x, *layers)
        codes.append([linear_cka(seen[name], last[name]) for name in layers])
    return Settling(tuple(layers), torch.tensor(weights), torch.tensor(codes))


def _cosine(one, other, name):
    a, b = (network.get_submodule(name).weight.detach().flatten() for network in (one, other))
    return torch.nn.functional.cosine_similarity(a, b, dim=0).item()


def linear_cka(a, b):
    r"""Return the linear centred kernel alignment of two codes of the same pictures, in [0, 1].

    $\|B^\top A\|_F^2 / (\|A^\top A\|_F \|B^\top B\|_F)$ for centred rows, computed from the matrices of scalar products
    between pictures, which are small however long the codes.

    Args:
        a, b: (N, ...), the same N pictures.
    Source: Kornblith et al. 2019, arXiv:1905.00414, equation 4.
    """
    a, b = (rows.flatten(1).double() for rows in (a, b))
    grams = [centred @ centred.T for centred in (a - a.mean(dim=0), b - b.mean(dim=0))]  # (N, N)
    return ((grams[0] * grams[1]).sum() / (grams[0].norm() * grams[1].norm()).clamp(min=1e-300)).item()
