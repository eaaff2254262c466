from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from training import speech
from training.codec_encoder import load_builtin_encoder
from training.teacher import SAMPLES_PER_UNIT, Teacher, phoneme_table, with_output
from training.utterances import SpeechSet

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def spoken(data: Path) -> SpeechSet:
    return SpeechSet(data / "speech", "train")


def test_every_sentence_is_spoken_as_long_as_its_phonemes_last(spoken: SpeechSet) -> None:
    utterances = spoken.utterances()
    assert len(utterances) == 8
    for utterance in utterances:
        assert len(utterance.units) == len(utterance.ids)
        assert min(utterance.units) >= 1
        assert utterance.samples == sum(utterance.units) * SAMPLES_PER_UNIT
        sound = spoken.samples()[
            utterance.first_sample : utterance.first_sample + utterance.samples
        ]
        assert 1000 < np.abs(sound.astype(int)).max() <= 32767


def test_the_held_out_sentences_are_others(data: Path, spoken: SpeechSet) -> None:
    held = SpeechSet(data / "speech", "held").utterances()
    assert len(held) == 2
    assert not {utterance.text for utterance in held} & {
        utterance.text for utterance in spoken.utterances()
    }


def test_codes_are_those_of_the_service_s_encoder(spoken: SpeechSet) -> None:
    pairs = list(spoken.with_codes())
    assert len(pairs) == 8
    utterance, codes = pairs[3]
    own = spoken.samples()[utterance.first_sample : utterance.first_sample + utterance.samples]
    expected = load_builtin_encoder().encode(own.astype(np.float32) / np.float32(32768))[:, 0]
    assert codes.tolist() == expected.tolist()
    assert len(codes) == utterance.frames


@pytest.fixture
def copied(data: Path, tmp_path: Path) -> Path:
    """A data folder of the test's own, with everything spoken."""
    shutil.copytree(data / "speech", tmp_path / "speech")
    for name in ("sentences.txt", "held.txt"):
        shutil.copy(data / name, tmp_path)
    return tmp_path


def test_speech_broken_off_goes_on_to_the_same_end(copied: Path, spoken: SpeechSet) -> None:
    broken = SpeechSet(copied / "speech", "train")
    lines = broken.lines.read_text().splitlines(keepends=True)
    broken.lines.write_text("".join(lines[:4]) + lines[4][:50])  # stopped while a line was written
    speech.main(["--data", str(copied)])
    assert broken.lines.read_bytes() == spoken.lines.read_bytes()
    assert broken.pcm.read_bytes() == spoken.pcm.read_bytes()


def test_speech_that_lacks_a_part_is_not_gone_on_with(copied: Path) -> None:
    (copied / "speech" / "train.aperiodicity").unlink()
    with pytest.raises(
        SystemExit, match=r"train\.aperiodicity is shorter than .*train\.jsonl says"
    ):
        speech.main(["--data", str(copied)])


def test_it_stops_at_the_hours_asked_for(data: Path, tmp_path: Path) -> None:
    for name in ("sentences.txt", "held.txt"):
        shutil.copy(data / name, tmp_path)
    speech.main(["--data", str(tmp_path), "--hours", str(2 / 3600)])
    assert len(SpeechSet(tmp_path / "speech", "train").utterances()) in {1, 2}


def test_what_is_no_sentence_is_left_out() -> None:
    teacher = Teacher()
    assert speech.say(teacher, "Hm.", 0, 0, 0) is None
    assert speech.say(teacher, "One sentence. And another one.", 0, 0, 0) is None


def test_an_output_is_added_without_rewriting_the_model() -> None:
    assert with_output(b"model", "/X") == b"model\x3a\x0c\x62\x0a\x0a\x02/X\x12\x04\x0a\x02\x08\x01"


def test_phonemes_have_numbers_of_their_own() -> None:
    table = phoneme_table()
    assert len(set(table.values())) == len(table) > 100
    assert all(len(symbol) == 1 and 0 < number < 178 for symbol, number in table.items())
