"""Scores as detectors of errors: what is judged, on what, and by which measures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from napari_crii.benchmark import errors
from napari_crii.benchmark.doubt_maps import SCORES, _shifted_views, doubt_about, passes_of
from napari_crii.benchmark.error_lines import CASE, MEASURES, REGIONS, pixel_lines
from napari_crii.benchmark.errors import CORRECTED, _calibrators, _judged, judge, shifted
from napari_crii.benchmark.errors_report import errors_margins, errors_table
from napari_crii.benchmark.runs import read_runs
from napari_crii.doubt_features import FEATURES
from napari_crii.networks import CRIINet
from tests.factories import disc_slice, small_network


def slices(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [disc_slice(rng, (40, 48)) for _ in range(count)]


def line_of(lines, region: str, score: str):
    (found,) = (x for x in lines if (x["region"], x["score"]) == (region, score))
    return found


def networks():
    return [small_network(seed, settled=True) for seed in range(3)]


def test_every_score_has_a_map_and_a_cost() -> None:
    doubt = doubt_about(networks(), slices(1)[0].image, torch.Generator())
    assert set(doubt.maps) == set(SCORES)
    assert all(m.shape == doubt.labels.shape == (40, 48) for m in doubt.maps.values())
    assert doubt.features.shape == doubt.shifted.shape == (40, 48, len(FEATURES))
    assert np.isfinite(doubt.features).all()
    assert np.isfinite(doubt.shifted).all()
    assert not np.allclose(doubt.features, doubt.shifted)
    assert all(0 <= value <= 1 for value in doubt.cases.values())


def test_scores_are_of_the_first_network_and_dropout_is_switched_off_again() -> None:
    trio, image = networks(), slices(1)[0].image
    torch.manual_seed(0)
    doubt = doubt_about(trio, image, torch.Generator())
    with torch.inference_mode():
        p = trio[0](image[None]).refined.softmax(1)[0]
    np.testing.assert_array_equal(doubt.labels, p.argmax(0).numpy())
    np.testing.assert_allclose(doubt.maps["max_probability"], 1 - p.max(0).values, atol=1e-5)
    assert not np.allclose(doubt.maps["mc_dropout"], doubt.maps["entropy"])
    assert not any(module.training for module in trio[0].modules())
    alone = doubt_about([trio[0]] * 3, image, torch.Generator())
    np.testing.assert_allclose(alone.maps["ensemble"], doubt.maps["entropy"], atol=1e-5)


def test_a_slice_on_which_nothing_is_seen_is_far_from_every_edge() -> None:
    trio, image = networks(), slices(1)[0].image
    for network in trio:
        with torch.no_grad():
            network.coarse_head.bias[0] = 1e3
    doubt = doubt_about(trio, image, torch.Generator())
    assert not doubt.labels.any()
    assert np.allclose(doubt.maps["edge_distance"], -np.hypot(*image.shape[1:]))


def test_views_are_mirrored_only_where_the_network_knows_mirrored_slices() -> None:
    trio, image = networks(), slices(1)[0].image
    alone = doubt_about(trio, image, torch.Generator(), ())
    both = doubt_about(trio, image, torch.Generator())
    turned = doubt_about(trio, image.flip(-1), torch.Generator(), (1,))
    one_way = doubt_about(trio, image, torch.Generator(), (1,))
    assert not np.allclose(alone.maps["U"], both.maps["U"])
    np.testing.assert_allclose(turned.maps["U"][:, ::-1], one_way.maps["U"], atol=1e-5)
    assert [passes_of("U", axes) for axes in ((), (1,), (0, 1))] == [1, 2, 4]
    assert [passes_of("tta", axes) for axes in ((), (1,), (0, 1))] == [2, 4, 8]


def test_shifted_views_are_laid_back() -> None:
    image = slices(1)[0].image[:1]

    def pointwise(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([batch, -batch], dim=1), torch.cat([2 * batch, batch], dim=1)

    coarse, refined = _shifted_views(cast("CRIINet", pointwise), image)
    assert coarse.shape == refined.shape == (3, 2, 40, 48)
    expected = [logits.softmax(1)[0].numpy() for logits in pointwise(image[None])]
    for branch, alone in zip((coarse, refined), expected, strict=True):
        np.testing.assert_array_equal(branch, np.stack([alone] * 3))
    assert passes_of("shifts", ()) == passes_of("expected_error_shifts") == 3
    assert passes_of("expected_error_shifts_without_J") == 3


def test_all_sets_regions_and_calibrators_are_judged_and_repeat() -> None:
    found = judge(networks(), slices(3), slices(CORRECTED[-1] + 2, seed=1))
    assert found == judge(networks(), slices(3), slices(CORRECTED[-1] + 2, seed=1))
    lines = {(r["set"], r["region"], r["score"]): r for r in found}
    assert len(lines) == len(found)
    assert {part for part, _, _ in lines} == {"test", "pool", "shifted"}
    assert {region for _, region, _ in lines} == {*REGIONS, CASE}
    fields = {"set", "region", "score", "passes", "corrected", *MEASURES}
    assert all(line.keys() == fields for line in found)
    calibrated = dict.fromkeys(["expected_error", "expected_error_without_J"], 8)
    calibrated |= dict.fromkeys(["expected_error_shifts", "expected_error_shifts_without_J"], 8)
    calibrated |= {f"expected_error_after_{count}": count for count in CORRECTED[:-1]}
    for part in ("test", "pool", "shifted"):
        for region in REGIONS:
            here = {score for p, r, score in lines if (p, r) == (part, region)}
            assert here == {*SCORES, *calibrated}
        for score, corrected in calibrated.items():
            line = lines[part, "whole", score]
            passes = 3 if "shifts" in score else 1
            assert (line["passes"], line["corrected"]) == (passes, corrected)
            assert 0 <= line["ece"] <= 1
            shares = [line[f"captured{share}"] for share in (1, 5, 10, 25)]
            assert shares == sorted(shares)
            assert 0 <= line["captured_patches"] <= 1
        assert lines[part, "whole", "ensemble"]["passes"] == 3
        assert lines[part, "whole", "entropy"]["ece"] is None
        assert lines[part, CASE, "pairwise_dice"]["passes"] == 4
    assert "| expected_error | 1 |" in re.sub(" +", " ", errors_table(found))
    assert "| pairwise_dice | 4 |" in re.sub(" +", " ", errors_table(found, "test", CASE))


def test_the_slices_that_calibrate_are_not_judged() -> None:
    found = judge(networks(), slices(3), slices(4, seed=1))
    assert {line["set"] for line in found} == {"test", "shifted"}
    calibrated = {line["score"]: line["corrected"] for line in found if line.get("corrected")}
    assert calibrated["expected_error"] == 4
    assert "expected_error_after_4" not in calibrated


def test_of_a_large_pool_some_slices_are_judged_and_all_that_calibrate_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def judged(trio, item, *others):
        seen.append(item.image)
        return _judged(trio, item, *others)

    monkeypatch.setattr(errors, "_POOL_SLICES", 2)
    monkeypatch.setattr(errors, "_judged", judged)
    pool = slices(CORRECTED[-1] + 5, seed=1)
    found = judge(networks(), slices(1), pool)
    calibrated = [line["corrected"] for line in found if line["score"] == "expected_error"]
    of_the_pool = [image for image in seen if any(image is item.image for item in pool)]
    assert len(of_the_pool) == len({id(image) for image in of_the_pool}) == CORRECTED[-1] + 2
    assert set(calibrated) == {CORRECTED[-1]}


def test_a_calibrator_that_saw_the_errors_of_its_kind_beats_chance() -> None:
    noise = torch.Generator().manual_seed(0)
    trio = networks()
    corrected = [_judged(trio, item, noise) for item in slices(8)]
    later = [_judged(trio, item, noise) for item in slices(4, seed=5)]
    calibrators = _calibrators(corrected, np.random.default_rng(0))
    found = line_of(pixel_lines(later, calibrators), "whole", "expected_error")
    assert found["auroc"] > 0.6


def test_errors_near_the_true_edge_are_not_counted_beyond() -> None:
    item = slices(1)[0]
    _, doubt, _ = _judged(networks(), item, torch.Generator())
    truth = item.label.numpy()
    rim = truth.astype(bool) & ~np.roll(truth.astype(bool), 1, axis=1)
    found = pixel_lines([(item, doubt, rim)], [])
    assert line_of(found, "beyond2", "entropy")["auroc"] is None
    assert line_of(found, "whole", "entropy")["auroc"] is not None


def test_each_patient_is_measured_by_their_own_pixels() -> None:
    noise = torch.Generator().manual_seed(0)
    trio = networks()
    judged = [_judged(trio, item, noise) for item in slices(3)]
    names = ["a", "b", "a"]
    judged = [(replace(i, patient=n), *rest) for (i, *rest), n in zip(judged, names, strict=True)]
    # Of b nothing is wrong, so that nothing can be found there.
    judged[1] = (*judged[1][:2], np.zeros_like(judged[1][2]))
    together = line_of(pixel_lines(judged, []), "whole", "entropy")
    of_a = line_of(pixel_lines(judged[::2], []), "whole", "entropy")
    assert together["patients_ause"] == {"a": of_a["ause"]}
    assert together["patients_captured5"] == {"a": of_a["captured5"]}
    assert of_a["ause"] != together["ause"]
    line = line_of(pixel_lines(judged, [], each_patient=False), "whole", "entropy")
    assert line == together | {"patients_ause": None, "patients_captured5": None}


def test_differences_to_rivals_are_paired_by_patient() -> None:
    def lines(score: str, draw: int, ause: float) -> dict[str, Any]:
        measures = {"patients_ause": {"a": ause, "b": ause}, "patients_captured5": {"a": 1 - ause}}
        return {"score": score, "draw": draw, "region": "beyond2", **measures}

    runs = [lines("entropy", d, 0.25) for d in (0, 1)]
    runs += [lines("expected_error", 0, 0.125), lines("expected_error", 1, 0.0)]
    assert errors_margins([{**run, "patients_ause": None} for run in runs]) == ""
    _, _, row = errors_margins(runs).splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    differences = ["-0.188 (-0.188 to -0.188)", "+0.188 (+0.188 to +0.188)"]
    assert cells == ["expected_error - entropy", "beyond2", *differences]


def test_a_shifted_copy_has_less_contrast_and_the_same_truth() -> None:
    item = slices(1)[0]
    other = shifted(item, torch.Generator().manual_seed(0))
    inside = item.label > 0
    gap = [float(s.image[0][inside].mean() - s.image[0][~inside].mean()) for s in (item, other)]
    assert gap[1] == pytest.approx(0.6 * gap[0], abs=0.1)
    assert torch.equal(item.label, other.label)


def test_the_command_leaves_runs_and_tables(data: Path, tmp_path: Path, run) -> None:
    out = tmp_path / "errors.jsonl"
    options = (
        "errors", "--images", data / "images", "--labels", data / "labels", "--iterations", 1,
        "--size", 32, "--batch", 2, "--fold-count", 2,
        "--folds", "0", "--out", out,
    )  # fmt: skip
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "| entropy" in result.stdout
    (note,) = (line for line in result.stderr.splitlines() if line.startswith("Not judged"))
    assert "whose first 8 slices calibrate, as it holds no more: draw 0, fold 0" in note
    runs = read_runs(out)
    assert {r["group"] for r in runs} == {len(runs)}
    assert {r["data"] for r in runs} == {data.name}
    assert "## Differences" in out.with_suffix(".md").read_text()
    assert "## test, band" in out.with_suffix(".md").read_text()
    with Image.open(out.with_suffix(".png")) as plot:
        assert plot.size[1] > 24 * len(SCORES)
    assert run(*options).exit_code == 0
    assert read_runs(out) == runs
    for more, said in (
        (("--method", "bcp"), "has no coarse and refined output"),
        (("--seeds", "9999999999999999999"), "are not different whole numbers from 0 to"),
    ):
        result = run(*options, *more)
        assert result.exit_code == 2
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
