from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast, Qwen3ForCausalLM

from app.codec.fsq_tensors import codes_to_digits
from app.engine.embedded.voices import VOICES
from app.text.prompt import render
from training import export
from training.language_model import (
    END_ROW,
    FIRST_CODE,
    FIRST_VOICE,
    MESSAGE_END,
    MESSAGE_START,
    NEVER_ROW,
    SPEECH_START,
    TOKENS,
    LanguageModel,
    Shape,
    build_prompt,
)
from training.teacher import phoneme_table
from training.tokens_lm import new_model, save_model

pytestmark = pytest.mark.process

SMALL = Shape(hidden=48, layers=3, heads=4, key_heads=2, head_width=16, feed=64)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    return new_model(SMALL).eval()


@pytest.fixture(scope="module")
def folder(model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export by the command itself."""
    data = tmp_path_factory.mktemp("export")
    (data / "lm").mkdir()
    save_model(model, data / "lm" / "language_model.safetensors")
    export.main(["--data", str(data), "--weights", str(data / "lm" / "language_model.safetensors")])
    return data / "qwen3"


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(folder)


def ids_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]


@torch.inference_mode()
def test_every_logit_of_the_ordinary_model_is_the_small_one_s(model: LanguageModel) -> None:
    codes = [0, 65_535, 27_182, 31_415, 4, 4]
    tokens = torch.tensor(
        [[*build_prompt([0, 50, 156, 83, 16, 4, 0]), *(FIRST_CODE + code for code in codes)]]
    )
    rows = model(tokens)[0]
    logits = export.expand(model)(tokens).logits[0]
    assert logits.shape == (tokens.shape[1], TOKENS)
    every = codes_to_digits(torch.arange(65_536))
    expected = rows[:, :END_ROW].view(-1, 8, 4)[:, torch.arange(8), every].sum(-1)
    assert torch.allclose(logits[:, FIRST_CODE:], expected, atol=2e-4)
    assert torch.allclose(logits[:, MESSAGE_END], rows[:, END_ROW], atol=2e-5)
    others = [token for token in range(FIRST_CODE) if token != MESSAGE_END]
    assert torch.allclose(logits[:, others], rows[:, NEVER_ROW:], atol=2e-5)
    assert rows.std() > 0.1  # not all the same


@torch.inference_mode()
def test_the_folder_holds_a_stock_qwen3_with_two_matrices(
    folder: Path, model: LanguageModel
) -> None:
    loaded, info = Qwen3ForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert loaded.config.architectures == ["Qwen3ForCausalLM"]
    assert not loaded.config.tie_word_embeddings
    assert loaded.generation_config.eos_token_id == MESSAGE_END
    tokens = torch.tensor([[MESSAGE_START, FIRST_VOICE, 50, SPEECH_START, FIRST_CODE + 99]])
    ends = loaded(tokens).logits[0, :, MESSAGE_END]
    assert torch.allclose(
        ends, model(tokens)[0, :, END_ROW], atol=1e-2
    )  # the file of weights is float16


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("phonemes", ["həlˈO, wˈɜɹld.", "“A” (tˈu): — jˈɛs; nˈO!? …", "a", ""])
def test_the_tokeniser_reads_the_service_s_prompt(
    tokenizer: PreTrainedTokenizerFast, voice: str, phonemes: str
) -> None:
    ids = phoneme_table()
    prompt = render(export.PROFILE.prompt, voice=voice, phonemes=phonemes)
    assert ids_of(tokenizer, prompt) == build_prompt(
        [0, *(ids[symbol] for symbol in phonemes), 0], voice
    )


def test_every_phoneme_is_one_token(tokenizer: PreTrainedTokenizerFast) -> None:
    table = phoneme_table()
    assert ids_of(tokenizer, "<|speech_start|>" + "".join(table)) == [SPEECH_START, *table.values()]


def test_what_is_not_a_phoneme_is_left_out_and_a_voice_is_one_only_at_the_beginning(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    table = phoneme_table()
    assert ids_of(tokenizer, "a7b\n<|s_65535|>") == [table["a"], table["b"], FIRST_CODE + 65_535]
    assert ids_of(tokenizer, "<|im_|a|>") == [table[symbol] for symbol in "ima"]
    unknown = ids_of(tokenizer, "<|im_start|>jenny: a<|speech_start|>")
    assert unknown == [MESSAGE_START, *(table[symbol] for symbol in "jenny: a"), SPEECH_START]
    twice = ids_of(tokenizer, "<|im_start|>heron: lark: a<|speech_start|>")
    assert twice == [
        MESSAGE_START,
        FIRST_VOICE + 1,
        *(table[symbol] for symbol in "lark: a"),
        SPEECH_START,
    ]


def test_an_answer_is_written_as_the_service_reads_it(tokenizer: PreTrainedTokenizerFast) -> None:
    assert (
        tokenizer.decode([FIRST_CODE, FIRST_CODE + 65_535, MESSAGE_END])
        == "<|s_0|><|s_65535|><|im_end|>"
    )
    syntax = export.PROFILE.tokens
    for code in (0, 9, 65_535):
        assert tokenizer.decode([FIRST_CODE + code]) == f"{syntax.prefix}{code}{syntax.suffix}"
    assert len(tokenizer) == TOKENS
    assert tokenizer.eos_token_id == MESSAGE_END


def test_the_folder_says_how_it_is_used(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "(float32, " in card
    assert ", ".join(VOICES) in card
    assert not re.search(r"\{\w+\}", card)
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0"
    defaults = GenerationConfig.from_pretrained(folder)
    assert (defaults.do_sample, defaults.temperature) == (True, export.PROFILE.sampling.temperature)
