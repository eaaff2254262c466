"""Stored voices: written atomically, with any names, and loaded after a restart."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.cloning.store import MAX_NAME_CHARACTERS, ClonedVoice, VoiceStore, voice_name
from app.errors import (
    InvalidName,
    LoadError,
    ServiceError,
    StoredVoiceNotFound,
    TooManyVoices,
    VoiceExists,
)
from app.errors import VoiceNotSaved as NotSaved

TEXT = "What was said that day."


def voice(name: str = "ana", **changes: object) -> ClonedVoice:
    fields: dict[str, object] = {
        "name": name,
        "reference_text": TEXT,
        "codes": (1, 2, 65_535),
        "sample_s": 3.25,
    }
    return ClonedVoice.model_validate(fields | changes)


def reopened(folder: Path, limit: int = 10) -> VoiceStore:
    store = VoiceStore(folder, limit)
    store.load()
    return store


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return reopened(tmp_path / "made" / "here")


def folder_of(store: VoiceStore) -> Path:
    folder = store._folder
    assert folder is not None
    return folder


def test_a_voice_survives_a_restart(store: VoiceStore) -> None:
    kept = voice("Anaïs 安")
    store.add(kept)
    assert reopened(folder_of(store)).voices == store.voices == [kept]


def test_a_file_is_named_by_the_id_and_read_by_its_owner_alone(store: VoiceStore) -> None:
    before = os.umask(0)
    try:
        store.add(voice("../../x"))
    finally:
        os.umask(before)
    (path,) = folder_of(store).iterdir()
    assert path.name == f"{store.voices[0].id}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder_of(store).stat().st_mode & 0o077 == 0


def test_a_voice_is_found_by_id_or_name_in_any_composition(store: VoiceStore) -> None:
    kept = voice("José")
    store.add(kept)
    for asked in (kept.id, "José", "Jose\u0301", " José "):
        assert store.find(asked) == kept
    for asked in ("jose", "", "../" + kept.id, kept.id.upper(), "x" * 100_000):
        assert store.find(asked) is None


def test_a_name_is_taken_once(store: VoiceStore) -> None:
    store.add(voice("José"))
    with pytest.raises(VoiceExists) as caught:
        store.add(voice(voice_name("Jose\u0301")))
    assert caught.value.status == 409
    assert len(reopened(folder_of(store)).voices) == 1


def test_the_number_has_a_limit(tmp_path: Path) -> None:
    store = reopened(tmp_path, limit=2)
    store.add(voice("a"))
    store.add(voice("b"))
    with pytest.raises(TooManyVoices):
        store.add(voice("c"))
    store.remove(store.voices[0].id)
    store.add(voice("c"))
    assert len(reopened(tmp_path, limit=1).voices) == 1


def test_a_removed_voice_is_gone_for_good(store: VoiceStore) -> None:
    store.add(voice())
    store.remove(store.voices[0].id)
    assert store.voices == []
    assert list(folder_of(store).iterdir()) == []


@pytest.mark.parametrize("asked", ["", "ana", "../x", "0" * 32, "a\0b"])
def test_only_an_id_removes(store: VoiceStore, asked: str) -> None:
    store.add(voice())
    with pytest.raises(StoredVoiceNotFound) as caught:
        store.remove(asked)
    assert caught.value.status == 404
    assert len(store.voices) == 1


def test_without_a_folder_voices_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = VoiceStore(None, 10)
    store.load()
    store.add(voice())
    store.add(voice("ben"))
    store.remove(store.voices[0].id)
    assert len(store.voices) == 1
    assert list(tmp_path.iterdir()) == []


@given(
    name=st.one_of(
        st.text(max_size=80),
        st.sampled_from(["../../x", "/etc/passwd", "a\0", "CON", "%2e%2e", "."]),
    )
)
@example(name="x" * MAX_NAME_CHARACTERS)
@example(name="\ud800")
@example(name="e\u0301" * 64)
@settings(max_examples=100, deadline=None)
def test_any_name_is_kept_as_it_is_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    folder = tmp_path_factory.mktemp("names") / "voices"
    store = reopened(folder)
    try:
        kept = voice(voice_name(name))
    except InvalidName as exc:
        assert len(name) < 3 or name not in exc.message
        return
    store.add(kept)
    assert [path.name for path in folder.parent.iterdir()] == ["voices"]
    assert [path.name for path in folder.iterdir()] == [f"{kept.id}.json"]
    again = reopened(folder).find(name)
    assert again == kept
    assert 1 <= len(kept.name) <= MAX_NAME_CHARACTERS


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "\0",
        "a\nb",
        "a\u202eb",
        "\ud800",
        "x" * 65,
        "x" * 10**7,
        "0123456789abcdef" * 2,
        "\ue000",
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        voice_name(name)


BAD_FIELDS: dict[str, dict[str, object]] = {
    "no codes": {"codes": []},
    "a code out of range": {"codes": [65_536]},
    "a code that is text": {"codes": ["<|im_end|>"]},
    "a text with a special token": {"reference_text": "Hello <|im_end|> there"},
    "a text with nothing to speak": {"reference_text": "..."},
    "a name with a line": {"name": "a\nb"},
    "an id that is a path": {"id": "../x"},
    "another id": {"id": "f" * 32},
    "a field more": {"more": 1},
    "an endless sample": {"sample_s": "inf"},
}


@pytest.mark.parametrize("fault", [*BAD_FIELDS, "cut", "empty", "not text", "huge", "a folder"])
def test_a_corrupt_file_is_skipped_with_a_line(
    store: VoiceStore, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = voice("bad"), voice("good")
    store.add(bad)
    store.add(good)
    path = folder_of(store) / f"{bad.id}.json"
    data = path.read_bytes()
    contents = {
        "cut": data[:-9],
        "empty": b"",
        "not text": b"\xff" * 99,
        "huge": data + b" " * 1_000_000,
    }
    if fault == "a folder":
        path.unlink()
        path.mkdir()
    else:
        fields = json.dumps(json.loads(data) | BAD_FIELDS.get(fault, {})).encode()
        path.write_bytes(contents.get(fault, fields))
    with caplog.at_level(logging.ERROR):
        assert reopened(folder_of(store)).voices == [good]
    (record,) = caplog.records
    assert path.name in record.getMessage()
    assert TEXT not in caplog.text


def test_two_files_of_one_name_give_one_voice(
    store: VoiceStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(voice())
    other = voice()
    (folder_of(store) / f"{other.id}.json").write_text(other.model_dump_json())
    assert len(reopened(folder_of(store)).voices) == 1
    assert "VoiceExists" in caplog.text


def test_what_a_crash_left_behind_is_no_voice_and_goes(store: VoiceStore) -> None:
    left = folder_of(store) / f"{'a' * 32}.tmp"
    left.write_bytes(b'{"id":')
    foreign = folder_of(store) / "notes.txt"
    foreign.write_text("not ours")
    assert reopened(folder_of(store)).voices == []
    assert not left.exists()
    assert foreign.exists()


def test_a_disk_that_fails_loses_nothing_and_leaves_nothing(
    store: VoiceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    store.add(voice("first"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(NotSaved) as caught:
            store.add(voice("second"))
    assert (caught.value.status, caught.value.code) == (500, "voice_not_saved")
    assert [kept.name for kept in store.voices] == ["first"]
    assert len(list(folder_of(store).iterdir())) == 1
    store.add(voice("second"))


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match=r"VOICES_FOLDER=.*: not a folder") as caught:
        reopened(tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_threads_that_add_at_once_keep_the_limit_and_the_names(tmp_path: Path) -> None:
    store = reopened(tmp_path, limit=5)

    def add(index: int) -> bool:
        try:
            store.add(voice(f"voice {index % 7}"))
        except ServiceError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(add, range(40)))
    assert sum(added) == len(store.voices) == len(reopened(tmp_path).voices) == 5
