"""The networks of the course, by name: ``networks.load("picturebook")``, ``networks.cards()``."""

from lecturekit.networks.facenet import face_net
from lecturekit.networks.lecturenet import lecture_net
from lecturekit.networks.residual import residual_net
from lecturekit.networks.zoo import card, cards, load, random_twin, restore

__all__ = ["card", "cards", "face_net", "lecture_net", "load", "random_twin", "residual_net", "restore"]
