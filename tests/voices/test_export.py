from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from app.codec.fsq import digits_of
from app.engine.lm import (
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
    prompt_of,
)
from voices.train import export
from voices.train.teacher import phoneme_table
from voices.train.tokens_lm import new_model, save_model

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
    export.main(["--data", str(data)])
    return data / "qwen3"


@torch.inference_mode()
def test_every_logit_of_the_ordinary_model_is_the_small_one_s(model: LanguageModel) -> None:
    codes = [0, 65_535, 27_182, 31_415, 4, 4]
    tokens = torch.tensor([[*prompt_of([0, 50, 156, 83, 16, 4, 0]), *(FIRST_CODE + code for code in codes)]])
    rows = model(tokens)[0]
    logits = export.expand(model)(tokens).logits[0]
    assert logits.shape == (tokens.shape[1], TOKENS)
    every = digits_of(torch.arange(65_536))
    expected = rows[:, :END_ROW].view(-1, 8, 4)[:, torch.arange(8), every].sum(-1)
    assert torch.allclose(logits[:, FIRST_CODE:], expected, atol=2e-4)
    assert torch.allclose(logits[:, MESSAGE_END], rows[:, END_ROW], atol=2e-5)
    others = [token for token in range(FIRST_CODE) if token != MESSAGE_END]
    assert torch.allclose(logits[:, others], rows[:, NEVER_ROW:], atol=2e-5)
    assert rows.std() > 0.1  # not all the same


@torch.inference_mode()
def test_the_folder_holds_a_stock_qwen3_with_two_matrices(folder: Path, model: LanguageModel) -> None:
    loaded, info = Qwen3ForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert loaded.config.architectures == ["Qwen3ForCausalLM"]
    assert not loaded.config.tie_word_embeddings
    assert loaded.generation_config.eos_token_id == MESSAGE_END
    tokens = torch.tensor([[MESSAGE_START, FIRST_VOICE, 50, SPEECH_START, FIRST_CODE + 99]])
    ends = loaded(tokens).logits[0, :, MESSAGE_END]
    assert torch.allclose(ends, model(tokens)[0, :, END_ROW], atol=1e-2)  # the file of weights is float16


def test_the_tokeniser_reads_a_prompt_and_writes_an_answer(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = phoneme_table()
    phonemes = "həlˈO, wˈɜɹld."
    prompt = tokenizer(f"<|im_start|>lark: {phonemes}<|speech_start|>")["input_ids"]
    assert prompt == prompt_of([0, *(ids[symbol] for symbol in phonemes), 0])
    assert tokenizer("a7b\n<|s_65535|>")["input_ids"] == [ids["a"], ids["b"], FIRST_CODE + 65_535]
    assert tokenizer.decode([FIRST_CODE, FIRST_CODE + 65_535, MESSAGE_END]) == "<|s_0|><|s_65535|><|im_end|>"
    assert len(tokenizer) == TOKENS
    assert tokenizer.eos_token_id == MESSAGE_END
