"""The dock's forms: what is entered, and what is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.errors import CheckpointError, CriiError
from tests.widgets.conftest import save_small

pytestmark = pytest.mark.gui


@pytest.fixture
def make_form(qapp, weights):
    from napari_crii.widgets.forms import TaskForm

    made = []

    def make(scans=("a", "b"), ask=lambda: None, shipped=weights):
        made.append(TaskForm(lambda: list(scans), ask, shipped))
        return made[-1]

    yield make
    for form in made:
        form.native.close()
        form.native.deleteLater()


def names(form):
    return [c.name for c in form.classes()]


def test_classes_come_from_the_checkpoint_and_can_be_renamed(make_form):
    form = make_form()
    assert names(form) == ["class 1", "class 2"]
    form._classes.value = " liver ,, tumour "
    assert names(form) == ["liver", "tumour"]
    assert [c.id for c in form.classes()] == [1, 2]


@pytest.mark.parametrize("entered", ["liver", "a, b, c"])
def test_another_number_of_classes_than_the_networks_is_a_sentence(make_form, entered):
    form = make_form()
    form._classes.value = entered
    with pytest.raises(CheckpointError, match=r"classes are named, but the network knows 2"):
        form.classes()


def test_a_new_network_needs_a_name_and_takes_any_number(make_form):
    from napari_crii.widgets.forms import NEW

    form = make_form()
    form._network.value = NEW
    assert form.choice().checkpoint is None
    form._classes.value = ""
    with pytest.raises(CriiError, match="Name at least one class"):
        form.classes()
    form._classes.value = "a, b, c"
    assert len(form.classes()) == 3


def test_one_name_for_two_classes_is_a_sentence(make_form):
    form = make_form()
    form._classes.value = "same, same"
    with pytest.raises(CriiError, match="same name"):
        form.classes()


def test_another_checkpoint_is_added_once(make_form, tmp_path):
    from napari_crii.widgets.forms import OTHER

    other = save_small(tmp_path / "mine.safetensors", classes=2)
    form = make_form(ask=lambda: other)
    form._network.value = OTHER
    assert form.choice().checkpoint == other
    assert names(form) == ["class 1"]
    form._network.value = OTHER
    assert [n for n in form._network.choices if "mine" in n] == ["mine.safetensors"]
    assert form.choice().checkpoint == other


def test_two_checkpoints_of_one_name_stay_two(make_form, tmp_path):
    from napari_crii.widgets.forms import OTHER

    paths = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        paths.append(save_small(tmp_path / folder / "net.safetensors", seed=len(paths)))
    answers = iter(paths)
    form = make_form(ask=lambda: next(answers))
    form._network.value = OTHER
    first = form._network.value
    form._network.value = OTHER
    assert form.choice().checkpoint == paths[1]
    form._network.value = first
    assert form.choice().checkpoint == paths[0]


def test_asking_for_a_checkpoint_and_giving_none_changes_nothing(make_form, weights):
    from napari_crii.widgets.forms import OTHER

    form = make_form()
    form._network.value = OTHER
    assert form.choice().checkpoint == weights
    assert names(form) == ["class 1", "class 2"]


def test_a_file_that_is_no_checkpoint_says_so_when_it_is_used(make_form, tmp_path):
    from napari_crii.widgets.forms import OTHER

    wrong = tmp_path / "wrong.safetensors"
    wrong.write_text("no weights")
    form = make_form(ask=lambda: wrong)
    form._network.value = OTHER
    with pytest.raises(CheckpointError, match=r"wrong\.safetensors is not a checkpoint"):
        form.classes()


def test_entering_a_choice_adds_an_unknown_checkpoint(make_form, tmp_path):
    from napari_crii.widgets.forms import Choice

    path = save_small(tmp_path / "tuned.safetensors")
    form = make_form()
    form.enter(Choice("b", path, ("x", "y")))
    assert form.choice() == Choice("b", path, ("x", "y"))
    form.enter(Choice("absent", None, ("z",)))
    assert form.choice() == Choice("b", None, ("z",))


def test_the_list_of_scans_follows_the_layers(open_window, engine):
    window = open_window()
    form = window.assistant.task_form
    assert form.choice().scan == "phantom"
    window.begin()
    window.viewer.add_labels(window.data("Human mask").copy(), name="notes")
    assert window.assistant._scan_names() == ["phantom"]
    window.viewer.add_image(window.data("phantom").copy(), name="Proposal")
    assert window.assistant._scan_names() == ["phantom", "Proposal [1]"]
    assert form.choice().scan == "phantom"
    window.viewer.layers["phantom"].name = "head"
    window.viewer.layers.remove("Proposal [1]")
    assert form.choice().scan == "head"
    window.viewer.layers.remove("head")
    assert form.choice().scan is None
    window.assistant.begin()
    assert "Choose a scan first" in window.status


def test_what_the_reader_refuses_the_status_line_says(open_window, engine, tmp_path: Path):
    window = open_window()
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    window.assistant._open_path(str(broken))
    window.until(lambda: window.controller.state.is_error)
    assert "broken.nii.gz" in window.status
    assert len(window.viewer.layers) == 1
    window.assistant._open_path("")


def test_saving_takes_proposals_along_unless_told_otherwise(qapp):
    from napari_crii.widgets.forms import SaveForm

    form = SaveForm()
    assert form.value().include_proposals
    form._include.value = False
    assert not form.value().include_proposals
    form.native.close()
    form.native.deleteLater()
