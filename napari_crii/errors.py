"""Errors that a user can cause, each one clear sentence.

The command line turns every :class:`CriiError` into that sentence and exit code 2; the
window shows it in its status line. Anything else is a defect of ours.
"""


class CriiError(Exception):
    """A condition the user can understand and mend; its text is one sentence."""


class ScanError(CriiError):
    """A scan or mask that cannot be opened: the text names the file and the broken rule."""


class SeveralVolumesError(ScanError):
    """A scan of several volumes none of which was chosen; `count` says how many there are."""

    def __init__(self, sentence: str, count: int) -> None:
        super().__init__(sentence)
        self.count = count


class GeometryError(CriiError):
    """Two grids that should coincide do not, or a grid that is no grid."""


class CheckpointError(CriiError):
    """A checkpoint that is damaged, of another kind, or does not fit the scan."""


class WriteError(CriiError):
    """A file that could not be written and verified; what stood there before is unchanged."""


class TrainingError(CriiError):
    """Training data or settings from which nothing can be learnt."""


class DeviceError(CriiError):
    """A device to compute on that is not there, or has too little memory."""


class EngineError(CriiError):
    """The child process that carries the network could not be used."""


class ProjectError(CriiError):
    """A project folder that cannot be used as asked; what it holds is unchanged."""


class JournalError(ProjectError):
    """A journal that is damaged, of another kind, or could not take what was to be saved."""


class ReadOnlyError(ProjectError):
    """A change to a project that is open for reading only."""


class LockedError(CriiError):
    """A change to a class that is locked."""
