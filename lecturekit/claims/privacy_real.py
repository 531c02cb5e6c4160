"""The claim about real people: what was shown with drawn ones, measured on photographs of forty who exist.

The faces are not shipped; without them the claim cannot be measured, and says so.  The rule was written before anything
was inverted; no setting was chosen by looking at a probe.  The last layers and the second attacker were added later,
without a rule: they are reported as they came.
"""

from lecturekit.claims.ledger import claim
from lecturekit.measure import share
from lecturekit.pictures.datasets import AttFaces
from lecturekit.privacy import real_faces
from lecturekit.privacy.leakage import leakage
from lecturekit.privacy.reidentify import Gallery

LESSON = "12_privacy"
CHANCE = 1 / AttFaces.PEOPLE
BY_STRANGERS = "embedding, black box"


@claim(
    "real-faces",
    "A small network that names forty real people gives them away: from its second layer they are found by a judge "
    "that never saw the pictures sought.",
    notebook=LESSON,
    threshold="conv2: the lower bound of the judge's top-1 is at least 10 times chance (1 of 40)",
    holds=lambda m: m["conv2: judge top-1"].low >= 10 * CHANCE,
)
def measure_real_faces(count=80):
    """White-box inversion of two unseen photographs of each of 40 people, in grey; network and judge trained here.

    Black box: inverse networks that learned from all photographs of the twenty other people.  The judge learned from
    photographs 5 to 8 of each person, which are the gallery; the network from 1 to 4; sought are 9 and 10.

    Raises: SetupError if the faces are not on this machine.
    """
    sought, others = AttFaces(real_faces.PROBES), AttFaces(real_faces.JUDGING)
    net = real_faces.identity_net(AttFaces(real_faces.ATTACKED)).model
    judge = real_faces.identity_net(others, blurred=True, seed=1).model
    x, people = (each[:count] for each in real_faces.tensors(sought))
    numbers = {f"{name} names probes": share(model(x).argmax(1) == people)
               for name, model in {"network": net, "judge": judge}.items()}  # fmt: skip
    numbers["embedding itself, without a picture: top-1"] = by_code(net, others).find(x, people).top[1]
    found = real_faces.brought_back(net, x)
    found[BY_STRANGERS] = real_faces.by_strangers(net, AttFaces(), x, people, "embedding")
    for way, gallery in real_faces.galleries(judge, others).items():
        for leak in leakage(found, x, people, gallery):
            numbers |= {f"{leak.layer}: {way} top-1": leak.top1, f"{leak.layer}: {way} top-5": leak.top5}
            if leak.psnr is not None:
                numbers |= {f"{leak.layer}: PSNR": leak.psnr, f"{leak.layer}: SSIM": leak.ssim}
    return numbers


def by_code(net, faces):
    """Return the gallery of somebody who compares codes: he sends his own photographs through the network as well."""
    return Gallery(*real_faces.tensors(faces), real_faces.seen_by(net))
