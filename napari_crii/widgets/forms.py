"""The dock's forms, made with magicgui."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import CheckpointError

SHIPPED = "Left ventricle on cine MRI (shipped)"
NEW = "New network: learns from your slices"
OTHER = "Another checkpoint file..."


@dataclass(frozen=True)
class Choice:
    """What the user entered.

    Attributes
    ----------
    scan
        Name of an image layer, or None.
    checkpoint
        The weights; None is a new network.
    classes
        Names of the foreground classes, in order.
    """

    scan: str | None
    checkpoint: Path | None
    classes: tuple[str, ...]


class TaskForm(Container):  # type: ignore[type-arg]
    """Which scan, which network, which classes.

    Parameters
    ----------
    scans
        Returns the names of the image layers that can be annotated.
    ask_file
        Asks the user for a checkpoint file.
    shipped
        The checkpoint that comes with the package.
    """

    def __init__(
        self,
        scans: Callable[[], list[str]],
        ask_file: Callable[[], Path | None],
        shipped: Path,
    ) -> None:
        self._scans = scans
        self._ask_file = ask_file
        self._files: dict[str, Path | None] = {SHIPPED: shipped, NEW: None}
        self._scan = ComboBox(
            label="Scan", choices=lambda _: scans(), nullable=True, tooltip="An open image layer"
        )
        self._network = ComboBox(
            label="Network", choices=lambda _: [*self._files, OTHER], value=SHIPPED
        )
        self._classes = LineEdit(label="Classes", tooltip="Names, separated by commas")
        super().__init__(widgets=[self._scan, self._network, self._classes], labels=True)
        self._network.changed.connect(self._on_network)
        self._fill_classes()

    def choice(self) -> Choice:
        """Return what is entered."""
        names = tuple(n.strip() for n in str(self._classes.value).split(",") if n.strip())
        return Choice(self._scan.value, self._files[str(self._network.value)], names)

    def enter(self, choice: Choice) -> None:
        """Enter a choice; an unknown checkpoint is added to the networks."""
        self.choose_scan(choice.scan or "")
        self._network.value = self._name_of(choice.checkpoint)
        self.enter_classes(choice.classes)

    def enter_classes(self, names: tuple[str, ...]) -> None:
        """Enter the names of the classes."""
        self._classes.value = ", ".join(names)

    def refresh_scans(self) -> None:
        """Offer the image layers that are open now; keep the one chosen, else take the first."""
        chosen = self._scan.value
        self._scan.reset_choices()
        names = self._scans()
        if chosen not in names and names:
            self._scan.value = names[-1]

    def choose_scan(self, name: str) -> None:
        """Choose an image layer; one that cannot be annotated changes nothing."""
        self.refresh_scans()
        if name in self._scans():
            self._scan.value = name

    def classes(self) -> tuple[LabelClass, ...]:
        """Return the classes under the names entered.

        Raises
        ------
        CheckpointError
            If there is none, two are the same, or their number is not the network's.
        """
        names, checkpoint = self.choice().classes, self.choice().checkpoint
        known = () if checkpoint is None else read_checkpoint_info(checkpoint).classes
        if not names or (known and len(names) != len(known)):
            raise CheckpointError(
                f"{len(names)} classes are named, but the network knows {len(known)}"
                if known
                else "Name at least one class, such as: lesion"
            )
        if len(set(names)) < len(names):
            raise CheckpointError("Two classes have the same name")
        return numbered_classes(list(names))

    def _on_network(self, chosen: str) -> None:
        if chosen == OTHER:
            path = self._ask_file()
            if path is None:
                self._network.value = SHIPPED
                return
            self._network.value = self._name_of(path)
            return
        self._fill_classes()

    def _name_of(self, checkpoint: Path | None) -> str:
        """Return the entry of a checkpoint, a new one if there is none yet."""
        for name, known in self._files.items():
            if known == checkpoint:
                return name
        assert checkpoint is not None
        name = str(checkpoint) if checkpoint.name in self._files else checkpoint.name
        self._files[name] = checkpoint
        self._network.reset_choices()
        return name

    def _fill_classes(self) -> None:
        """Take the class names from the checkpoint; an unreadable one says so when it is used."""
        checkpoint = self.choice().checkpoint
        if checkpoint is None:
            self._classes.value = self._classes.value or "lesion"
            return
        try:
            self._classes.value = ", ".join(read_checkpoint_info(checkpoint).class_names)
        except CheckpointError:
            self._classes.value = ""


@dataclass(frozen=True)
class SaveOptions:
    """How to save.

    Attributes
    ----------
    include_proposals
        Whether slices that nobody touched carry their proposal.
    """

    include_proposals: bool = True


class SaveForm(Container):  # type: ignore[type-arg]
    """The options of saving."""

    def __init__(self) -> None:
        self._include = CheckBox(
            text="with unseen proposals",
            value=SaveOptions().include_proposals,
            tooltip="Proposals of slices that nobody has looked at yet; otherwise these are saved "
            "empty",
        )
        super().__init__(widgets=[self._include], labels=False)

    def value(self) -> SaveOptions:
        """Return what is entered."""
        return SaveOptions(bool(self._include.value))
