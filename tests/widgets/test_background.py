"""Messages of other threads reach the window's thread one in a turn, in their order."""

from __future__ import annotations

import gc
import threading

import numpy as np
from qtpy.QtCore import QObject, QThread, QTimer

from napari_crii.widgets import garbage
from napari_crii.widgets.background import Background, Mailbox


def test_messages_arrive_in_their_order_on_this_thread_one_in_a_turn(qtbot):
    heard, threads, turns = [], set(), []
    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(len(heard)))

    def deliver(message):
        threads.add(QThread.currentThread())
        heard.append(message)

    mailbox = Mailbox(deliver)
    poster = threading.Thread(target=lambda: [mailbox.post(i) for i in range(50)])
    poster.start()
    poster.join()
    assert not heard
    timer.start(0)
    qtbot.waitUntil(lambda: len(heard) == 50)
    timer.stop()
    assert heard == list(range(50))
    assert threads == {QThread.currentThread()}
    # Between two messages everybody else had a turn.
    assert np.diff(turns).max() <= 1
    mailbox.close()


def test_a_closed_mailbox_delivers_nothing(qtbot):
    heard = []
    mailbox = Mailbox(heard.append)
    mailbox.post("before")
    qtbot.waitUntil(lambda: heard == ["before"])
    mailbox.post("waiting")
    mailbox.close()
    mailbox.post("after")
    qtbot.wait(20)
    assert heard == ["before"]


def test_what_another_thread_posted_before_is_not_delivered_after_closing(qtbot):
    heard, told = [], []
    mailbox, background = Mailbox(heard.append), Background(told.append)
    poster = threading.Thread(target=mailbox.post, args=("on its way",))
    poster.start()
    poster.join()
    asked = threading.Event()
    background.run(asked.wait, told.append)
    asked.set()
    background._pool.shutdown(wait=True)
    mailbox.close()
    background.close()
    qtbot.wait(20)
    assert heard == told == []


def test_a_mailbox_can_be_closed_after_the_window_that_owned_it(qtbot):
    window = QObject()
    mailbox = Mailbox(lambda _: None, window)
    mailbox.post("waiting")
    with qtbot.waitSignal(window.destroyed):
        window.deleteLater()
    mailbox.close()
    mailbox.post("after")


def test_a_message_may_be_posted_while_one_is_delivered(qtbot):
    heard = []

    def deliver(message):
        heard.append(message)
        if message < 3:
            mailbox.post(message + 1)

    mailbox = Mailbox(deliver)
    mailbox.post(0)
    qtbot.waitUntil(lambda: heard == [0, 1, 2, 3])
    mailbox.close()


def test_what_is_set_aside_is_not_searched_until_it_is_taken_back():
    class Loop:
        pass

    loop = Loop()
    loop.me = loop
    kept = id(loop)
    garbage.set_aside()
    try:
        del loop
        gc.collect()
        assert gc.get_freeze_count() > 0
        assert kept not in {id(o) for o in gc.get_objects()}
    finally:
        garbage.take_back()
    assert gc.get_freeze_count() == 0
    assert kept in {id(o) for o in gc.get_objects() if type(o) is Loop}
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is Loop]
