"""Messages and their files through a stream, without a child."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from napari_crii.engine.codec import encode
from napari_crii.engine.messages import (
    Cancel,
    Learn,
    LearningFinished,
    Message,
    OpenScan,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.engine.wire import Wire
from napari_crii.errors import EngineError


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def sent(message: Message, folder: Path) -> bytes:
    stream = io.BytesIO()
    Wire(folder).write(stream, message)
    return stream.getvalue()


def received(content: bytes, folder: Path | None) -> list[Message]:
    return list(Wire(folder).read(io.BytesIO(content)))


def test_without_a_folder_paths_are_all_that_goes(tmp_path: Path) -> None:
    message = UseCheckpoint("/no/such/file", 3)
    stream = io.BytesIO()
    Wire().write(stream, message)
    assert stream.getvalue() == encode(message)
    assert received(stream.getvalue(), None) == [message]


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_files_arrive_whole_between_other_messages(tmp_path: Path, there: Path, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    scan = tmp_path / "0.npy"
    scan.write_bytes(content[:size])
    message = OpenScan("a", str(scan), (1.0, 2.0, 3.0), "mm")
    stream = encode(Cancel()) + sent(message, tmp_path) + encode(Cancel())
    first, opened, last = received(stream, there)
    assert first == last == Cancel()
    assert opened == OpenScan("a", str(there / "0.npy"), (1.0, 2.0, 3.0), "mm")
    assert (there / "0.npy").read_bytes() == content[:size]
    assert scan.exists()
    assert str(tmp_path).encode() not in stream


def test_a_run_learns_in_the_folder_of_the_receiver(tmp_path: Path, there: Path) -> None:
    (tmp_path / "s.npz").write_bytes(b"s")
    message = Learn(str(tmp_path / "s.npz"), "", str(tmp_path), classes=("a",))
    assert received(sent(message, tmp_path), there) == [
        Learn(str(there / "s.npz"), "", str(there), classes=("a",))
    ]
    nothing = LearningFinished("stopped", "", "")
    assert received(sent(nothing, tmp_path), there) == [nothing]


def test_the_arrays_of_a_slice_are_gone_once_they_are_sent(tmp_path: Path, there: Path) -> None:
    for name in ("l.npy", "s.npy"):
        (tmp_path / name).write_text(name)
    files = [str(tmp_path / name) for name in ("l.npy", "s.npy")]
    (arrived,) = received(sent(SliceProposed(1, "a", 0, *files, (), "d"), tmp_path), there)
    assert isinstance(arrived, SliceProposed)
    assert Path(arrived.labels).read_text() == "l.npy"
    assert Path(arrived.maps).read_text() == "s.npy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_a_file_that_is_not_there_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with pytest.raises(EngineError, match=r"^gone\.safetensors cannot be sent: "):
        Wire(tmp_path).write(stream, UseCheckpoint(str(tmp_path / "gone.safetensors")))
    assert stream.getvalue() == b""


def test_writing_stops_in_the_midst_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "0.npy").write_bytes(bytes(5_000_000))
    message = OpenScan("a", str(tmp_path / "0.npy"), (1.0, 1.0, 1.0), "mm")
    stream = io.BytesIO()
    with pytest.raises(OSError, match="not sent to its end"):
        Wire(tmp_path).write(stream, message, lambda: stream.tell() > 2_000_000)
    assert stream.tell() < 4_000_000


def test_a_stream_that_ends_in_a_file_leaves_none(tmp_path: Path, there: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1000))
    stream = sent(UseCheckpoint(str(tmp_path / "a")), tmp_path)
    for cut in (len(stream) - 200, 60, 10):
        assert received(stream[:cut], there) == []
        assert not (there / "a").exists()


@pytest.mark.parametrize("name", ["../a", "/etc/a", "..", "", "a\\b", "C:a", ".hidden", "a\0b"])
def test_no_name_leads_out_of_the_folder(there: Path, name: str) -> None:
    announced = json.dumps({"file": name, "bytes": 3}).encode() + b"\n\n{}"
    message = encode(UseCheckpoint(name or "a"))
    assert received(announced + message + encode(Cancel()), there) == [Cancel()]
    assert [*there.iterdir()] == []
    assert [path.name for path in there.parent.iterdir()] == ["there"]


def test_noise_between_a_file_and_its_message_costs_nothing(tmp_path: Path, there: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    content = sent(UseCheckpoint(str(tmp_path / "a")), tmp_path)
    message = encode(UseCheckpoint("a"))
    assert content.endswith(message)
    noisy = content.removesuffix(message) + b"Last login: yesterday\n" + message
    assert received(noisy, there) == [UseCheckpoint(str(there / "a"))]


def test_files_without_their_message_cost_the_next_one_nothing(tmp_path: Path, there: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    content = sent(UseCheckpoint(str(tmp_path / "a")), tmp_path)
    wrong = content.removesuffix(encode(UseCheckpoint("a"))) + encode(UseCheckpoint("b"))
    arrived = received(wrong + content, there)
    assert arrived == [UseCheckpoint(str(there / "a"))]


def test_every_part_of_a_file_is_a_sign_of_life(tmp_path: Path, there: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2_500_000))
    signs: list[int] = []
    stream = io.BytesIO(sent(UseCheckpoint(str(tmp_path / "a")), tmp_path))
    messages = Wire(there).read(stream, lambda: signs.append(stream.tell()))
    assert len(list(messages)) == 1
    assert len(signs) == 3
    assert signs == sorted(set(signs))


def test_a_path_of_the_sender_s_choosing_is_not_taken(tmp_path: Path, there: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    proposed = SliceProposed(1, "a", 0, str(secret), str(secret), (), "d")
    assert received(encode(proposed) + encode(Cancel()), there) == [Cancel()]
    assert secret.exists()


def test_a_file_that_cannot_be_kept_costs_its_message_only(tmp_path: Path, there: Path) -> None:
    (there / "a").mkdir()
    (there / "a" / "in the way").touch()
    (tmp_path / "a").write_bytes(b'{"kind": "Cancel"}\n' * 3)
    stream = sent(UseCheckpoint(str(tmp_path / "a"), 7), tmp_path)
    lost: list[Message] = []
    messages = Wire(there, lost.append).read(io.BytesIO(stream + encode(Cancel())))
    assert list(messages) == [Cancel()]
    assert lost == [UseCheckpoint("a", 7)]
