"""Every measure against a number on paper, or against an independent library."""

import math

import numpy as np
import pytest
import torch

from lecturekit import measure
from lecturekit.errors import InputError
from lecturekit.measure import baselines, intervals


def pictures(n=3, height=16, width=12, seed=0, dtype=torch.float32):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


# --- likeness -----------------------------------------------------------------------------------------------------


@BOTH
def test_psnr_of_a_picture_that_is_a_tenth_too_bright_is_20_db(dtype):
    x0 = torch.full((2, 3, 4, 6), 0.3, dtype=dtype)
    x = x0.clone()
    x[0] += 0.1
    x[1] += 0.01
    torch.testing.assert_close(measure.psnr(x, x0), torch.tensor([20.0, 40.0], dtype=dtype), atol=1e-3, rtol=0)


def test_psnr_of_equal_pictures_is_infinite_and_not_a_crash():
    x = pictures()
    assert measure.psnr(x, x).tolist() == [math.inf] * 3


def test_psnr_agrees_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    x, x0 = pictures(seed=1), pictures(seed=2)
    expected = [skimage.peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=1) for a, b in zip(x, x0, strict=True)]
    torch.testing.assert_close(measure.psnr(x, x0), torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("channels", [1, 3])
@BOTH
def test_ssim_agrees_with_scikit_image(channels, dtype):
    skimage = pytest.importorskip("skimage.metrics")
    x0 = pictures(4, 24, 17, seed=1)[:, :channels].to(dtype)
    x = (0.7 * x0 + 0.3 * pictures(4, 24, 17, seed=2)[:, :channels].to(dtype)).clamp(0, 1)
    expected = [
        skimage.structural_similarity(
            a.double().numpy(), b.double().numpy(), channel_axis=0, data_range=1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )
        for a, b in zip(x, x0, strict=True)
    ]  # fmt: skip
    torch.testing.assert_close(measure.ssim(x, x0), torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=1e-5)


def test_ssim_of_equal_pictures_is_one_also_if_they_are_constant():
    x = torch.cat([pictures(1), torch.full((1, 3, 16, 12), 0.5)])
    torch.testing.assert_close(measure.ssim(x, x), torch.ones(2))


def test_correlation_forgives_light_and_contrast_and_sees_a_negative():
    x0 = pictures()
    torch.testing.assert_close(measure.correlation(0.5 * x0 + 0.2, x0), torch.ones(3))
    torch.testing.assert_close(measure.correlation(1 - x0, x0), -torch.ones(3))
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(pictures(seed=5), x0, strict=True)]
    torch.testing.assert_close(measure.correlation(pictures(seed=5), x0), torch.tensor(expected, dtype=torch.float32))


def test_correlation_with_a_constant_picture_is_zero():
    assert measure.correlation(torch.full((3, 3, 16, 12), 0.4), pictures()).abs().max() < 1e-6


@BOTH
def test_feature_error_is_squared_and_divided_by_the_squared_norm_of_the_code(dtype):
    phi0 = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]], dtype=dtype)
    phi = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]]], dtype=dtype)
    assert measure.feature_error(phi, phi0).tolist() == [0, 0.25]
    assert measure.feature_error_unsquared(phi, phi0).tolist() == [0, 0.5]
    assert measure.feature_error(0 * phi0, phi0).tolist() == [1, 1]


def test_feature_error_has_the_gradient_one_computes_by_hand():
    phi0 = torch.tensor([[3.0, 4.0]])
    phi = torch.tensor([[4.0, 4.0]], requires_grad=True)
    measure.feature_error(phi, phi0).sum().backward()
    torch.testing.assert_close(phi.grad, torch.tensor([[2 / 25, 0]]))


def test_pixel_error_divides_by_the_distance_of_random_pairs():
    x0 = torch.zeros(2, 3, 4, 6)
    x = x0.clone()
    x[1] = 0.5
    torch.testing.assert_close(measure.pixel_error(x, x0, 2.0), torch.tensor([0, 0.5 * math.sqrt(72) / 2]))


def test_random_pairs_are_never_a_picture_and_itself():
    two = torch.stack([torch.zeros(3, 4, 6), torch.ones(3, 4, 6)])
    assert measure.random_pair_distance(two, pairs=50) == pytest.approx(math.sqrt(72))


def test_the_distance_of_random_pairs_is_that_of_all_pairs():
    x = pictures(20)
    all_pairs = torch.pdist(x.flatten(1)).mean().item()
    assert measure.random_pair_distance(x, pairs=4000) == pytest.approx(all_pairs, rel=0.01)
    assert measure.random_pair_distance(x, seed=1) == measure.random_pair_distance(x, seed=1)


# --- what survives ------------------------------------------------------------------------------------------------


def test_colour_distance_is_the_earth_movers_distance_of_the_histograms():
    wasserstein = pytest.importorskip("scipy.stats").wasserstein_distance
    x, x0 = pictures(seed=1), pictures(seed=2) ** 2
    expected = [
        np.mean([wasserstein(a.flatten(), b.flatten()) for a, b in zip(one, other, strict=True)])
        for one, other in zip(x, x0, strict=True)
    ]
    torch.testing.assert_close(measure.colour_distance(x, x0), torch.tensor(expected, dtype=torch.float32))


def test_colour_distance_does_not_care_where_the_colours_are():
    x = pictures()
    assert measure.colour_distance(x.flip(-1), x).max() == 0
    torch.testing.assert_close(measure.colour_distance(0.5 * x + 0.1, 0.5 * x), torch.full((3,), 0.1))


@BOTH
def test_the_centroid_of_two_pixels_lies_between_them(dtype):
    maps = torch.zeros(2, 4, 6, dtype=dtype)
    maps[0, 1, 2] = 1
    maps[1, 0, 0], maps[1, 3, 4] = 1, 3
    assert measure.centroid(maps).tolist() == [[1, 2], [2.25, 3]]
    assert measure.centroid(maps > 0).tolist() == [[1, 2], [1.5, 2]]


def test_the_overlap_of_masks_is_counted_by_hand():
    a, b = torch.zeros(3, 4, 4, dtype=torch.bool), torch.zeros(3, 4, 4, dtype=torch.bool)
    a[0, 0, :3] = True
    b[0, 0, 1:] = True
    a[1, 1, 1] = True
    iou = measure.part_iou(a, b)
    assert iou[:2].tolist() == [0.5, 0] and iou[2].isnan(), "2 of 4 pixels; none of 1; no part at all"


@BOTH
def test_sharpness_of_one_white_pixel_is_the_variance_of_the_laplacian(dtype):
    x = torch.zeros(2, 1, 5, 6, dtype=dtype)
    x[0, 0, 2, 2] = 1
    laplacian = np.zeros((3, 4))
    laplacian[1, 1], laplacian[0, 1], laplacian[2, 1], laplacian[1, 0], laplacian[1, 2] = -4, 1, 1, 1, 1
    torch.testing.assert_close(measure.sharpness(x), torch.tensor([laplacian.var(), 0], dtype=dtype))


def test_blur_lowers_the_sharpness_and_green_counts_most():
    x = pictures(2, 24, 20)
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert (measure.sharpness(blurred) < 0.5 * measure.sharpness(x)).all()
    red, green = torch.zeros(1, 3, 5, 5), torch.zeros(1, 3, 5, 5)
    red[0, 0, 2, 2], green[0, 1, 2, 2] = 1, 1
    torch.testing.assert_close(measure.sharpness(green) / measure.sharpness(red), torch.tensor([(0.587 / 0.299) ** 2]))


# --- intervals ----------------------------------------------------------------------------------------------------


def test_the_bootstrap_agrees_with_scipy():
    scipy = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).gamma(2, size=50)
    for statistic in (np.mean, np.median):
        ours = measure.bootstrap(torch.tensor(values), statistic, resamples=20000)
        theirs = scipy.bootstrap([values], statistic, n_resamples=20000, method="percentile").confidence_interval
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)
        assert ours.estimate == pytest.approx(statistic(values)) and ours.n == 50


def test_the_bootstrap_interval_contains_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    trials = [measure.bootstrap(random.normal(size=40), resamples=400, level=0.9, seed=s) for s in range(300)]
    hits = np.mean([trial.low < 0 < trial.high for trial in trials])
    assert 0.84 < hits < 0.94, "a little below 0.9 at n = 40, as the textbook says"


def test_the_bootstrap_repeats_itself_and_forgets_nothing_in_blocks(monkeypatch):
    values = np.random.default_rng(2).normal(size=30)
    whole = measure.bootstrap(values, resamples=1000)
    assert measure.bootstrap(values, resamples=1000) == whole != measure.bootstrap(values, resamples=1000, seed=1)
    monkeypatch.setattr(intervals, "BLOCK", 30 * 64)
    in_blocks = measure.bootstrap(values, resamples=1000)
    assert (in_blocks.low, in_blocks.high) == (whole.low, whole.high)


def test_a_paired_difference_sees_what_two_intervals_do_not():
    random = np.random.default_rng(3)
    hard = random.normal(size=40)  # some pictures are simply harder than others
    a, b = hard + 0.2 + 0.1 * random.normal(size=40), hard + 0.1 * random.normal(size=40)
    assert not measure.bootstrap(a).above(measure.bootstrap(b))
    difference = measure.paired_difference(a, torch.tensor(b))
    assert difference.above(0) and difference.estimate == pytest.approx(np.mean(a - b))


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (3, 20), (20, 20), (1, 1), (996, 1000)])
def test_wilson_intervals_agree_with_scipy(successes, n):
    scipy = pytest.importorskip("scipy.stats")
    theirs = scipy.binomtest(successes, n).proportion_ci(method="wilson")
    ours = measure.proportion(successes, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= ours.low <= ours.estimate == successes / n <= ours.high <= 1


def test_intervals_are_apart_only_if_they_do_not_overlap():
    low, middle, high = (measure.Interval(e, e - 1, e + 1, 10) for e in (0, 1.5, 3))
    assert high.above(low) and low.below(high) and not middle.above(low) and not middle.below(high)
    assert high.above(1.9) and not high.above(2.0) and high.below(4.1)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((24.123, 23.8, 24.4), "24.1 [23.8, 24.4]"), ((0.98612, 0.9712, 0.9934), "0.986 [0.971, 0.993]"),
        ((120.4, 101.2, 140.9), "120 [101, 141]"), ((0.5, 0.5, 0.5), "0.50 [0.50, 0.50]"),
    ],
)  # fmt: skip
def test_an_interval_prints_the_digits_that_it_is_worth(interval, text):
    assert str(measure.Interval(*interval, n=10)) == text


# --- baselines ----------------------------------------------------------------------------------------------------


@BOTH
def test_the_mean_image_is_the_best_constant_guess(dtype):
    x = pictures(6).to(dtype)
    mean = measure.mean_image(x)
    assert mean.shape == (1, 3, 16, 12) and mean.dtype == dtype
    torch.testing.assert_close(mean[0], x.mean(dim=0))
    other = (mean + 0.02 * pictures(1)).clamp(0, 1).to(dtype)
    error = [((guess - x) ** 2).mean() for guess in (mean, other)]
    assert error[0] < error[1]


@BOTH
def test_the_nearest_neighbour_agrees_with_comparing_all(dtype, monkeypatch):
    x, gallery = pictures(7, seed=1).to(dtype), pictures(23, seed=2).to(dtype)
    gallery[4] = x[2]
    expected = torch.cdist(x.flatten(1), gallery.flatten(1), compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
    for block in (2**24, 5 * 16 * 12 * 3):
        monkeypatch.setattr(baselines, "BLOCK", block)
        index, distance = measure.nearest_neighbour(x, gallery)
        torch.testing.assert_close(index, expected.indices)
        torch.testing.assert_close(distance, expected.values)
        assert index[2] == 4 and distance[2] == 0


def test_nothing_has_no_neighbours():
    index, distance = measure.nearest_neighbour(pictures(0), pictures(2))
    assert index.shape == distance.shape == (0,)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 10)])
def test_a_shuffled_code_keeps_its_values_and_loses_their_places(shape):
    phi = torch.rand(shape)
    shuffled = measure.shuffle_code(phi, seed=1)
    assert shuffled.shape == phi.shape
    for row, other in zip(phi.flatten(1), shuffled.flatten(1), strict=True):
        torch.testing.assert_close(row.sort().values, other.sort().values, rtol=0, atol=0)
        assert (row != other).float().mean() > 0.5
    order = measure.shuffle_code(torch.arange(20.0).expand(2, 20))
    assert not torch.equal(order[0], order[1]), "another order for each code"
    assert torch.equal(shuffled, measure.shuffle_code(phi, seed=1))
    assert not torch.equal(shuffled, measure.shuffle_code(phi, seed=2))


def test_retrieval_finds_the_original_of_a_good_reconstruction():
    gallery = pictures(40)
    found = measure.retrieval(0.9 * gallery[10:20] + 0.05, gallery, right=torch.arange(10, 20))
    assert found.top[1].estimate == 1 and found.top[1].n == 10 and found.ranks.tolist() == [0] * 10
    assert found.chance == {1: 1 / 40, 5: 5 / 40}


def test_ranks_are_counted_by_hand():
    gallery = torch.tensor([[0.0], [1.0], [3.0], [6.0]])
    found = measure.retrieval(torch.tensor([[0.4], [2.5], [2.5], [9.0]]), gallery, k=(1, 2))
    assert found.ranks.tolist() == [0, 1, 0, 0]
    assert found.top[1].estimate == 0.75 and found.top[2].estimate == 1


def test_a_constant_reconstruction_finds_nothing_even_among_equal_pictures():
    gallery = torch.full((10, 3, 4, 4), 0.5)
    assert measure.retrieval(gallery[:5], gallery).top[1].estimate == 0


def test_retrieval_in_blocks_counts_the_same(monkeypatch):
    x, gallery = pictures(9, seed=1), pictures(30, seed=2)
    right = torch.arange(9).flip(0)
    whole = measure.retrieval(x, gallery, right).ranks
    monkeypatch.setattr(baselines, "BLOCK", 2 * 16 * 12 * 3)
    torch.testing.assert_close(measure.retrieval(x, gallery, right).ranks, whole)


# --- what is left alone, and what is refused ----------------------------------------------------------------------


def test_nothing_measured_is_changed_and_odd_memory_layouts_work():
    x, x0 = pictures(4, 24, 20, seed=1), pictures(4, 24, 20, seed=2)
    copies = x.clone(), x0.clone()
    for function in (measure.psnr, measure.ssim, measure.correlation, measure.colour_distance):
        plain = function(x, x0)
        strided = function(x.to(memory_format=torch.channels_last), x0.transpose(2, 3).contiguous().transpose(2, 3))
        torch.testing.assert_close(strided, plain)
        assert function(x.requires_grad_(), x0).shape == (4,)
        x.requires_grad_(False)
        assert function(x[:0], x0[:0]).shape == (0,)
    torch.testing.assert_close((x, x0), copies, rtol=0, atol=0)


@pytest.mark.parametrize("function", [measure.psnr, measure.ssim, measure.colour_distance])
def test_pictures_of_different_shape_are_refused(function):
    with pytest.raises(InputError, match=r"x has shape \(1, 3, 16, 12\) but x0 has \(3, 3, 16, 12\).*expand_as"):
        function(pictures(1), pictures(3))
    with pytest.raises(InputError, match="x0 must lie in"):
        function(pictures(3), 2 * pictures(3))


SILENT = torch.tensor([[1.0, 0], [0, 0]])
MASK = torch.ones(2, 4, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: measure.ssim(pictures(1, 10, 20), pictures(1, 10, 20)), "at least 11×11 pixels, got 10×20"),
        (lambda: measure.feature_error(torch.ones(2, 3), torch.ones(2, 4)), r"phi has shape \(2, 3\) but phi0"),
        (lambda: measure.feature_error(torch.ones(2, 2), SILENT), r"the codes phi0\[1\] are all zeros"),
        (lambda: measure.random_pair_distance(pictures(1)), "at least two pictures, got 1"),
        (lambda: measure.centroid(torch.ones(4, 4)), r"maps \(N, H, W\), got shape \(4, 4\)"),
        (lambda: measure.centroid(-torch.ones(1, 4, 4)), "must not be negative, but one is -1"),
        (lambda: measure.centroid(torch.zeros(2, 4, 4)), r"maps \[0, 1\] are zero everywhere"),
        (lambda: measure.part_iou(MASK.float(), MASK), "mask_a must be a bool tensor, got torch.float32"),
        (lambda: measure.part_iou(MASK[:1], MASK), r"mask_a has shape \(1, 4, 4\) but mask_b"),
        (lambda: measure.sharpness(pictures(1, 2, 5)), "at least 3×3 pixels, got 2×5"),
        (lambda: measure.bootstrap([1.0]), r"at least two pictures, got shape \(1,\)"),
        (lambda: measure.bootstrap(torch.ones(3, 2)), r"got shape \(3, 2\)"),
        (lambda: measure.bootstrap([1.0, math.inf, 2.0]), r"1 of 3 values are not finite, .* number 1 \(inf\)"),
        (lambda: measure.bootstrap([1.0, 2.0], level=95), "level must lie between 0 and 1, e.g. 0.95, got 95"),
        (lambda: measure.paired_difference([1.0, 2.0], [1.0, 2.0, 3.0]), "got 2 and 3 values"),
        (lambda: measure.proportion(5, 4), "5 successes among 4"),
        (lambda: measure.proportion(0, 0), "0 successes among 0"),
        (lambda: measure.mean_image(pictures(0)), "mean of no pictures"),
        (lambda: measure.nearest_neighbour(pictures(2), pictures(0)), "the gallery is empty"),
        (lambda: measure.nearest_neighbour(pictures(2), pictures(2, 8)), r"the gallery of \(3, 8, 12\)"),
        (lambda: measure.retrieval(pictures(3), pictures(2)), "each of 3 reconstructions, got 3 indices from 0 to 2"),
        (lambda: measure.retrieval(pictures(2), pictures(2)), r"k must lie between 1 and the 2 pictures .* \(1, 5\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(work, message):
    with pytest.raises(InputError, match=message):
        work()


def test_the_rank_correlation_is_spearmans():
    scipy = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    x, x0 = (torch.randint(0, 9, (3, 2, 4, 5), generator=generator).float() for _ in range(2))
    expected = [scipy.spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(x, x0, strict=True)]
    assert measure.rank_correlation(x, x0).tolist() == pytest.approx(expected, abs=1e-6)
    assert measure.rank_correlation(x, x.exp()).tolist() == pytest.approx([1, 1, 1])
    with pytest.raises(InputError, match="x has shape"):
        measure.rank_correlation(x, x0[:1])


def test_a_share_is_the_proportion_of_what_is_true():
    assert measure.share(torch.tensor([True, False, True, True])) == measure.proportion(3, 4)
