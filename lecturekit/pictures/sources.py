"""Where the data sets of the course lie, how large they are, how they are recognised, and whose they are.

Plain facts, kept apart from the code that uses them, so that the catalogue can be shown without loading torchvision.
Addresses and MD5 digests are torchvision's, the SHA-256 of the Olivetti faces is scikit-learn's; a test compares them.
"""

from typing import NamedTuple


class Archive(NamedTuple):
    """One file to download: where it lies, where it is put below the folder, its digest, its size in bytes."""

    url: str
    path: str
    digest: str
    size: int


class Source(NamedTuple):
    """What is known of a data set before a byte of it has arrived; ``side`` in pixels, ``splits`` counts pictures."""

    classes: tuple
    side: int
    splits: dict
    archives: tuple
    credit: str
    licence: str

    @property
    def size(self):
        """Bytes to download, all archives together."""
        return sum(archive.size for archive in self.archives)


def _mnist_file(name, md5, size):
    return Archive(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}", f"MNIST/raw/{name}", f"md5:{md5}", size)


SOURCES = {
    "cifar10": Source(
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        32,
        {"train": 50_000, "test": 10_000},
        (
            Archive(
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                "cifar-10-python.tar.gz",
                "md5:c58f30108f718f92721af3b95e74349a",
                170_498_071,
            ),
        ),
        "Krizhevsky 2009",
        "none stated; research",
    ),
    "stl10": Source(
        ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        96,
        {"train": 5_000, "test": 8_000},
        (
            Archive(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "stl10_binary.tar.gz",
                "md5:91f7769df0f17e558f3565bffb0c7dfb",
                2_640_397_119,
            ),
        ),
        "Coates, Lee, Ng 2011",
        "none stated; ImageNet's pictures, research",
    ),
    "imagenette": Source(
        (
            "tench",
            "English springer",
            "cassette player",
            "chain saw",
            "church",
            "French horn",
            "garbage truck",
            "gas pump",
            "golf ball",
            "parachute",
        ),
        160,
        {"train": 9_469, "val": 3_925},
        (
            Archive(
                "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
                "imagenette2-160.tgz",
                "md5:e793b78cc4c9e9a4ccc0c1155377a412",
                99_003_388,
            ),
        ),
        "Howard 2019",
        "Apache 2.0; ImageNet's pictures, research",
    ),
    "mnist": Source(
        tuple("0123456789"),
        28,
        {"train": 60_000, "test": 10_000},
        (
            _mnist_file("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            _mnist_file("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            _mnist_file("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            _mnist_file("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ),
        "LeCun, Cortes, Burges 1998",
        "CC BY-SA 3.0",
    ),
    "olivetti": Source(
        tuple(f"person {i}" for i in range(1, 41)),
        64,
        {"train": 320, "test": 80},
        (
            Archive(
                "https://ndownloader.figshare.com/files/5976027",
                "olivettifaces.mat",
                "sha256:b612fb967f2dc77c9c62d3e1266e0c73d5fca46a4b8906c18e454d41af987794",
                4_200_000,
            ),
        ),
        "AT&T Laboratories Cambridge",
        "free with acknowledgement",
    ),
}
