"""Numbers for what the eye sees, each with an interval, each beside a baseline.

=====================  =====================================================================================
how alike              `psnr`, `ssim`, `correlation`, `rank_correlation`, `pixel_error`; of codes: `feature_error`
what survives          `colour_distance`, `centroid`, `part_iou`, `sharpness`, `retrieval`
how sure               `bootstrap`, `paired_difference`, `proportion`, `share`: every one returns an `Interval`
what for nothing       `mean_image`, `nearest_neighbour`, `shuffle_code`
=====================  =====================================================================================

The trap: "normalised error" means three different things in three papers.  Here the name of each function tells which
one it is, and its docstring by what it divides.
"""

from lecturekit.measure.baselines import Retrieval, mean_image, nearest_neighbour, retrieval, shuffle_code
from lecturekit.measure.intervals import Interval, bootstrap, paired_difference, proportion, share
from lecturekit.measure.likeness import (
    correlation,
    feature_error,
    feature_error_unsquared,
    pixel_error,
    psnr,
    random_pair_distance,
    rank_correlation,
    ssim,
)
from lecturekit.measure.survival import centroid, colour_distance, part_iou, sharpness

__all__ = [
    "Interval", "Retrieval", "bootstrap", "centroid", "colour_distance", "correlation", "feature_error",
    "feature_error_unsquared", "mean_image", "nearest_neighbour", "paired_difference", "part_iou", "pixel_error",
    "proportion", "psnr", "random_pair_distance", "rank_correlation", "retrieval", "share", "sharpness", "shuffle_code",
    "ssim",
]  # fmt: skip
