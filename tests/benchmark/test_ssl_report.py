"""What a comparison with few labels comes to: margins, the table, the plot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_crii.benchmark.ssl_report import (
    dice_interval,
    margins_table,
    ssl_plot,
    ssl_table,
)


def fake(method: str, draw: int, fold: int, patients: dict[str, float]) -> dict[str, Any]:
    value = float(np.mean(list(patients.values())))
    measures = dict.fromkeys(("hard_dice", "boundary_dice", "nsd1", "nsd2"), 0.5)
    return {
        "method": method, "draw": draw, "fold": fold, "budget": 1.0, "dice": value, "hd95": 3.0,
        "patients": patients, "seconds_per_iteration": 0.1, "peak_mb": None, **measures,
    }  # fmt: skip


def test_margins_are_given_by_every_measure_that_the_runs_hold_by_patient() -> None:
    def measured(method: str, dice: float, nsd: float) -> dict[str, Any]:
        more = {"patients_nsd1": {"a": nsd, "b": nsd}, "patients_hard_dice": {"b": dice / 2}}
        return {**fake(method, 0, 0, {"a": dice, "b": dice}), **more}

    runs = [measured("bcp", 0.8, 0.2), measured("plus", 0.9, 0.5), fake("old", 0, 0, {"a": 0.9})]
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in margins_table(runs).splitlines()
    ]
    assert rows[0] == ["plus - method", "Dice", "low contrast", "NSD 1"]
    same = ["+0.100 (+0.100 to +0.100)", "+0.050 (+0.050 to +0.050)", "+0.300 (+0.300 to +0.300)"]
    assert rows[2:] == [["bcp", *same]]
    assert margins_table([fake("plus", 0, 0, {"a": 0.9}), runs[0]]) == ""


def test_the_table_weighs_folds_by_their_patients_and_spreads_over_draws() -> None:
    runs = [
        fake("plus", 0, 0, {"a": 1.0, "b": 1.0}), fake("plus", 0, 1, {"c": 0.4}),
        fake("plus", 1, 0, {"a": 0.6, "b": 0.6}), fake("plus", 1, 1, {"c": 0.6}),
    ]  # fmt: skip
    row = [cell.strip() for cell in ssl_table(runs).splitlines()[2].split("|")[1:-1]]
    spread = f"{np.std([0.8, 0.6], ddof=1):.3f}"
    assert row[:5] == ["plus", "4", "0.700", "0.500 to 0.800", spread]
    # Of three patients in each draw, drawn with repeats: draw 1 is 0.6 whoever is drawn.
    assert dice_interval(runs) == pytest.approx((0.7, 0.5, 0.8))
    assert ssl_plot(runs).size[1] > 50
