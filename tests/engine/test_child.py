"""The environment in which a child computes."""

from __future__ import annotations

import psutil
import pytest

from napari_crii.engine.child import Child
from napari_crii.engine.client import ENGINE
from napari_crii.engine.messages import Closed, Ready
from tests.engine.inbox import Inbox

pytestmark = pytest.mark.alone


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_child_sleep_while_they_wait_unless_the_user_says_otherwise(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
    inbox = Inbox()
    child = Child(ENGINE, inbox.arrived.put)
    inbox.until(Ready)
    assert child.pid is not None
    assert psutil.Process(child.pid).environ()["OMP_WAIT_POLICY"] == expected
    child.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)
