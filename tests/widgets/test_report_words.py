"""What may leave the house: no name of a person, a scan or a file."""

from __future__ import annotations

import pytest

from napari_crii.widgets.report_words import Remark, report_in_words, without_names

pytestmark = pytest.mark.napari


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("the file '/home/ana/Jane Roe/x.npz' is gone", "the file (removed) is gone"),
        ("/home/ana/Jane Roe/scan 1.nii.gz is not a scan", "(removed) is not a scan"),
        (r"C:\scans\Jane Roe\x.dcm: no such file", "(removed) no such file"),
        ("weights.safetensors is not a checkpoint", "(removed) is not a checkpoint"),
        ("no room for Jane ROE", "no room for (removed)"),
        ("Roentgen images are 0.87 bright. Next", "Roentgen images are 0.87 bright. Next"),
        ("CUDA out of memory. Tried 2.5 GB.", "CUDA out of memory. Tried 2.5 GB."),
    ],
)
def test_a_report_holds_no_name_of_a_person_or_a_file(said, kept):
    assert without_names(said, {"Jane Roe", "Roe", ""}) == kept


def test_a_report_tells_what_runs_where_and_what_happened():
    error = Remark(0.0, "Learning failed: no room.")
    report = report_in_words(["napari 1"], "On the processor.", error, [Remark(0.0, "Smaller.")])
    lines = report.splitlines()
    assert lines[:2] == ["napari 1", "Learning: On the processor."]
    assert lines[2].endswith("Learning failed: no room.")
    assert lines[-1].endswith(" Smaller.")
    assert report_in_words([], "", None, []).splitlines()[1:] == [
        "Last problem: none",
        "Remarks:",
        "- none",
    ]
