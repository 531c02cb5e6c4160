"""All checks by name, as the notebooks use them: ``checks.fgsm(fgsm)``, ``checks.misled(variant)(x_adv)``."""

from lecturekit.course.tasks.attacks import FGSM as fgsm
from lecturekit.course.tasks.attacks import IN_PIXELS as fgsm_in_pixels
from lecturekit.course.tasks.attacks import INPUT_GRADIENT as input_gradient
from lecturekit.course.tasks.attacks import PGD as pgd
from lecturekit.course.tasks.attacks import PROJECT as project
from lecturekit.course.tasks.attacks import TARGETED as towards
from lecturekit.course.tasks.attacks import misled
from lecturekit.course.tasks.deconvnet import DESCEND as descend
from lecturekit.course.tasks.deconvnet import FILTER_TRANSPOSED as filter_transposed
from lecturekit.course.tasks.deconvnet import KEEP_TOP as keep_top
from lecturekit.course.tasks.deconvnet import POOL_WITH_SWITCHES as pool_with_switches
from lecturekit.course.tasks.deconvnet import PROJECT_DOWN as project_down
from lecturekit.course.tasks.deconvnet import THREE_RULES as three_rules
from lecturekit.course.tasks.deconvnet import UNPOOL as unpool
from lecturekit.course.tasks.deconvnet import projected_from
from lecturekit.course.tasks.features import ACTIVITY as activity
from lecturekit.course.tasks.features import CROP as crop
from lecturekit.course.tasks.features import DEFECTS as defects
from lecturekit.course.tasks.features import IOU as part_iou
from lecturekit.course.tasks.features import MAXIMISE as maximise
from lecturekit.course.tasks.features import REPEATS as repeats
from lecturekit.course.tasks.features import SELECTIVITY as selectivity
from lecturekit.course.tasks.features import TOP as top_patches
from lecturekit.course.tasks.features import buried, doubled
from lecturekit.course.tasks.forward import ACTIVATION as activation
from lecturekit.course.tasks.forward import CONVOLVE as convolve
from lecturekit.course.tasks.forward import ONE_PLACE as one_place
from lecturekit.course.tasks.forward import POOL as pool
from lecturekit.course.tasks.forward import RECEPTIVE_FIELD as receptive_field
from lecturekit.course.tasks.forward import RECORD as record
from lecturekit.course.tasks.forward import STRONGEST as strongest
from lecturekit.course.tasks.forward import excites
from lecturekit.course.tasks.inverse_net import BEST_GUESS as best_guess
from lecturekit.course.tasks.inverse_net import DECIBELS as decibels
from lecturekit.course.tasks.inverse_net import LINEAR_INVERSE as linear_inverse
from lecturekit.course.tasks.inverse_net import SHAPES_BACK as shapes_back
from lecturekit.course.tasks.inverse_net import UP_CONVOLVE as up_convolve
from lecturekit.course.tasks.inverse_net import ZEROS_BETWEEN as zeros_between
from lecturekit.course.tasks.inverse_net import beats_the_mean
from lecturekit.course.tasks.inversion import ALPHA_NORM as alpha_norm
from lecturekit.course.tasks.inversion import DOWNHILL as downhill
from lecturekit.course.tasks.inversion import FEATURE_ERROR as feature_error
from lecturekit.course.tasks.inversion import INVERT as invert
from lecturekit.course.tasks.inversion import OBJECTIVE as objective
from lecturekit.course.tasks.inversion import PSNR as psnr
from lecturekit.course.tasks.inversion import TOTAL_VARIATION as total_variation
from lecturekit.course.tasks.inversion import same_code
from lecturekit.course.tasks.privacy import DISTANCES as distances
from lecturekit.course.tasks.privacy import IDENTIFIED as identified
from lecturekit.course.tasks.privacy import LABELS as labels
from lecturekit.course.tasks.privacy import LEAK as leak
from lecturekit.course.tasks.privacy import NOISY as noisy
from lecturekit.course.tasks.privacy import QUANTISED as quantised
from lecturekit.course.tasks.privacy import TOP1 as top1
from lecturekit.course.tasks.privacy import developed, recognised
from lecturekit.course.tasks.why import DISTANCE as distance
from lecturekit.course.tasks.why import HONEST as success_rate
from lecturekit.course.tasks.why import MATRIX as transfer
from lecturekit.course.tasks.why import PROMISED as promised
from lecturekit.course.tasks.why import ROBUST as robust_accuracy
from lecturekit.course.tasks.why import SAVED as success_when_saved
from lecturekit.course.tasks.why import SHORTEST as shortest
from lecturekit.course.tasks.why import breached

__all__ = [
    "activation",
    "activity",
    "alpha_norm",
    "beats_the_mean",
    "best_guess",
    "breached",
    "buried",
    "convolve",
    "crop",
    "decibels",
    "defects",
    "descend",
    "developed",
    "distance",
    "distances",
    "doubled",
    "downhill",
    "excites",
    "feature_error",
    "fgsm",
    "fgsm_in_pixels",
    "filter_transposed",
    "identified",
    "input_gradient",
    "invert",
    "keep_top",
    "labels",
    "leak",
    "linear_inverse",
    "maximise",
    "misled",
    "noisy",
    "objective",
    "one_place",
    "part_iou",
    "pgd",
    "pool",
    "pool_with_switches",
    "project",
    "project_down",
    "projected_from",
    "promised",
    "psnr",
    "quantised",
    "receptive_field",
    "recognised",
    "record",
    "repeats",
    "robust_accuracy",
    "same_code",
    "selectivity",
    "shapes_back",
    "shortest",
    "strongest",
    "success_rate",
    "success_when_saved",
    "three_rules",
    "top1",
    "top_patches",
    "total_variation",
    "towards",
    "transfer",
    "unpool",
    "up_convolve",
    "zeros_between",
]
