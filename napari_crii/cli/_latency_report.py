"""What ``napari-crii benchmark latency`` says: ratios with their intervals, times, strokes."""

from __future__ import annotations

from typing import Any

_RATIOS = {
    "proposal_over_passes": "proposal over bare passes",
    "map_over_passes": "map over bare passes",
    "volume_over_passes": "volume with map over passes",
    "paint_p95_ratio": "painting, 95 %, over bare napari",
    "paint_p95_over_two_layers": "  over bare, two layers",
    "paint_p95_resting_ratio": "  nothing learning, over bare",
    "scroll_p95_ratio": "scrolling, 95 %, over bare",
    "proposal_ratio": "proposals, learning over resting",
    "proposal_painting_ratio": "  both while a hand paints",
    "training_ratio": "training steps over a bare loop",
    "training_painting_ratio": "  both while a hand paints",
    "training_painting_over_rest": "  painting over bare at rest",
}
_STROKE_FIGURES = ("median_ms", "p95_ms", "p95_cpu_ms", "p95_handled_ms")


def latency_lines(report: dict[str, Any]) -> list[str]:
    """Say each ratio with its interval, and absolute times beside."""
    lines = []
    for name, text in _RATIOS.items():
        if name in report:
            low, high = report[f"{name}_interval"]
            lines.append(f"{text:<32} {report[name]:.3f} ({low:.3f} to {high:.3f})")
    for name, ms in report.get("milliseconds", {}).items():
        lines.append(f"{name.replace('_', ' '):<32} {ms:.1f} ms")
    lines += [*_window_lines(report), *_stroke_lines(report)]
    machine = report["machine"]
    told = f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}"
    return [*lines, f"{told} on {machine['threads']} threads"]


def _window_lines(report: dict[str, Any]) -> list[str]:
    """Return the window's latencies and gaps, and what else was timed in it."""
    lines = [
        f"{name:<32} {found['median_ms']:.1f} ms, 95 % {found['p95_ms']:.1f} ms"
        for name, found in report.get("latencies", {}).items()
    ]
    for key, unit in (("proposal_seconds", "s"), ("steps_per_second", "steps/s")):
        for name, value in report.get(key, {}).items():
            lines.append(f"{key.partition('_')[0] + ', ' + name:<32} {value:.2f} {unit}")
    for key, what in (("pauses", "longest pause"), ("phases", "longest gap")):
        for name, phase in report.get(key, {}).items():
            lines.append(
                f"{what + ', ' + name:<32} {phase['longest_ms']:.1f} ms, "
                f"p99 {phase['p99_ms']:.1f} ms, in {phase['seconds']:.0f} s"
            )
    return lines


def _stroke_lines(report: dict[str, Any]) -> list[str]:
    """Return a table of the strokes, and what ours take more."""
    if "strokes" not in report:
        return []
    from napari_crii.benchmark.table import markdown_table

    head = ("strokes on", "count", "median, ms", "95 %, ms", "computing", "handling the mouse")
    rows = [
        (name, str(kind["count"]), *(f"{kind[key]:.2f}" for key in _STROKE_FIGURES))
        for name, kind in report["strokes"].items()
    ]
    more, handled = report["stroke_extra_ms"], report["stroke_extra_handled_ms"]
    low, high = report["stroke_extra_interval_ms"]
    first = report["first_stroke_extra_ms"], report["first_stroke_extra_handled_ms"]
    size = " x ".join(str(n) for n in report["layer"])
    return [
        markdown_table(head, rows),
        f"at 95 %, a stroke on ours takes {more:.2f} ms more ({low:.2f} to {high:.2f}), "
        f"{handled:.2f} ms more to handle the mouse; in the median of pairs "
        f"{report['stroke_extra_median_ms']:.2f} ms",
        f"the first on a slice {first[0]:.2f} and {first[1]:.2f} ms more; layers of {size}",
    ]
