r"""Re-identification: is the person in the gallery who is nearest to a picture the right one?

An attacker has a *gallery*, one or more pictures of each of many people, taken at other moments.  He reconstructs a
picture from a code and asks whom of the gallery it shows.  Guessing is right once in as many times as there are people;
everything above that has leaked.

======================  ================================================================================
compared by             what it answers
======================  ================================================================================
pixels                  is the very picture back?  Another moment, another background defeat it
`judges.embedding`      is the *person* back?  An identity network, trained on other people
======================  ================================================================================

The trap: with the very picture in the gallery, finding it is easy and says nothing about the person.  `Gallery` cannot
know; take one split for the gallery and another for the pictures that are sought.
"""

import torch

from lecturekit.errors import InputError
from lecturekit.measure import Retrieval, proportion
from lecturekit.privacy.judges import embedding

SHORT_LISTS = (1, 5)


def pixels(x):
    """Compare pictures pixel by pixel: (N, C, H, W) -> (N, C H W)."""
    return x.flatten(1)


class Gallery:
    """Pictures of people, ready to be searched.

    Args:
        x: (M, C, H, W) in [0, 1], at least of two people.
        people: who each shows, (M,) int64.
        see: pictures -> vectors (M, D) that are compared by distance: `judges.embedding`, `pixels`, or your own.
    Attributes:
        names: the people, each once, (P,).
    Raises: InputError for a gallery in which nobody can be confused with anybody, or labels that do not fit.
    """

    def __init__(self, x, people, see=embedding):
        people = torch.as_tensor(people)
        if people.shape != (len(x),):
            raise InputError(f"people must name one person for each of {len(x)} pictures, got {tuple(people.shape)}")
        self.names, self.whose = people.to(x.device).unique(return_inverse=True)
        if len(self.names) < 2:
            raise InputError(
                f"a gallery of {len(x)} picture{'s' * (len(x) != 1)} of {len(self.names)} person finds that person "
                "always; pass pictures of at least two people"
            )
        self.x, self.people, self.see = x, people.to(x.device), see
        self.seen = see(x)

    def __len__(self):
        """Return how many people are in the gallery."""
        return len(self.names)

    def distances(self, x):
        """Return how far each picture is from each person's nearest picture, (N, P)."""
        each = torch.cdist(self.see(x).double(), self.seen.double())  # (N, M)
        nearest = each.new_full((len(x), len(self)), torch.inf)
        return nearest.scatter_reduce(1, self.whose.expand(len(x), -1), each, "amin")

    def nearest(self, x, count=5):
        """Return the ``count`` nearest people for each picture, (N, count), the nearest first: places in ``names``."""
        return self.distances(x).topk(min(count, len(self)), largest=False).indices

    def find(self, x, people):
        """Ask for each picture whether the nearest person is the right one.

        Equally near people count against it, so that a constant reconstruction does not win by luck.

        Args:
            x: pictures (N, C, H, W) in [0, 1], e.g. reconstructions.
            people: who they really show, (N,).
        Returns: a `measure.Retrieval`: ``top[1]`` and ``top[5]`` with intervals, and ``chance``.
        Raises: InputError for people who have no picture in the gallery.
        """
        people = torch.as_tensor(people).to(self.names).contiguous()  # every second one of a list is not
        if people.shape != (len(x),) or not len(x):
            raise InputError(f"people must name one person for each of {len(x)} pictures, got {tuple(people.shape)}")
        strangers = people[~torch.isin(people, self.names)].unique().tolist()
        if strangers:
            raise InputError(
                f"people {strangers[:5]} have no picture in the gallery and cannot be found in it; each needs a second "
                "picture there, e.g. of the split 'validation'"
            )
        distance = self.distances(x)
        own = distance.gather(1, torch.searchsorted(self.names, people)[:, None])
        ranks = (distance <= own).sum(dim=1) - 1  # without the right person
        sizes = [size for size in SHORT_LISTS if size < len(self)]
        return Retrieval(
            ranks,
            {size: proportion((ranks < size).sum(), len(ranks)) for size in sizes},
            {size: size / len(self) for size in sizes},
        )
