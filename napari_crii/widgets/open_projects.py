"""Projects that are open, each of which is closed for certain, whoever is faster.

A project is opened on a thread of its own. If the window has gone by the time it is ready, it is
closed at once; until then it is remembered, so that closing the window closes it.
"""

from __future__ import annotations

import logging
import threading

from napari_crii.errors import CriiError
from napari_crii.session.project import Project
from napari_crii.widgets.unclosed import forget, remember

_log = logging.getLogger(__name__)


class OpenProjects:
    """The open projects of a window; any thread may call."""

    def __init__(self) -> None:
        self._open: set[Project] = set()
        self._closed = False
        self._lock = threading.Lock()

    def keep(self, project: Project) -> Project:
        """Remember an open project, so that it is closed; close it if the window was faster."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._open.add(project)
        if closed:
            project.close()
        elif not project.read_only:
            remember(project.folder)
        return project

    def close(self, project: Project) -> None:
        """Close one; returns when all is on the disk.

        Raises
        ------
        JournalError
            If something could not be saved.
        """
        with self._lock:
            self._open.discard(project)
        may_write = not project.read_only
        project.close()
        if may_write:
            forget(project.folder)

    def close_all(self) -> None:
        """Close every project, and each that is ready later; what cannot be saved is logged."""
        with self._lock:
            self._closed = True
        for project in tuple(self._open):
            try:
                self.close(project)
            except CriiError as error:
                _log.error("%s", error)
