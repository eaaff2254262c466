"""Export the language model as a stock Qwen3: `python -m training.export`. Needs transformers.

The folder `qwen3/` gets a Qwen3ForCausalLM, its tokenizer and a model card. Any server of Qwen3
models can serve it. A prompt is `<|im_start|>lark: ` + phonemes + `<|speech_start|>`. The answer is
`<|s_N|>` … `<|im_end|>`. The logits equal those of the trained model, because the row of a code is
the sum of its digits' rows.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from app.codec.fsq import LEVELS, VOCABULARY
from app.codec.fsq_tensors import codes_to_digits
from app.config.profiles import load_profile
from app.engine.embedded.voices import VOICES
from app.text.prompt import render
from training.folder import add_folder
from training.language_model import (
    END_ROW,
    EPSILON,
    FIRST_CODE,
    FIRST_VOICE,
    MAX_TOKENS,
    MESSAGE_END,
    MESSAGE_START,
    NEVER_ROW,
    ROTARY_BASE,
    SPEECH_START,
    TOKENS,
    LanguageModel,
    Shape,
    read_language_model,
)
from training.teacher import phoneme_table

MARKS = {MESSAGE_START: "<|im_start|>", MESSAGE_END: "<|im_end|>", SPEECH_START: "<|speech_start|>"}
VOICE_TEXTS = {FIRST_VOICE + number: f"{voice}: " for number, voice in enumerate(VOICES)}
PROFILE = load_profile("lark")  # the service's profile of this model
SHIPPED = Path(__file__).parent / "weights" / "language_model.safetensors"
CARD = Path(__file__).with_name("model_card.md")
# A code's logit is a sum of eight logits. In bfloat16, with 8 bits of mantissa, one in ten of the
# likeliest codes changes, so it is not offered.
DTYPES = {"float32": torch.float32, "float16": torch.float16}


def build_config(shape: Shape) -> Qwen3Config:
    """Return transformers' configuration of the same architecture."""
    return Qwen3Config(
        vocab_size=TOKENS,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head_width,
        max_position_embeddings=MAX_TOKENS,
        rms_norm_eps=EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": ROTARY_BASE},
        attention_bias=False,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=MESSAGE_END,
        pad_token_id=MESSAGE_END,
    )


def code_rows(digit_rows: Tensor) -> Tensor:
    """Sum the digits' rows (32, hidden) of each code: (65536, hidden)."""
    digits = functional.one_hot(codes_to_digits(torch.arange(VOCABULARY)), LEVELS).flatten(-2)
    return digits.to(digit_rows.dtype) @ digit_rows


def expand(model: LanguageModel) -> Qwen3ForCausalLM:
    """Return the same model with one row per token (65,792) in embedding and head."""
    state = {f"model.layers.{name}": value for name, value in model.layers.state_dict().items()}
    head = model.head.weight.detach()
    never = head[NEVER_ROW].repeat(FIRST_CODE, 1)
    never[MESSAGE_END] = head[END_ROW]
    embedding = torch.cat((model.text.weight.detach(), code_rows(model.digit.weight.detach().T)))
    state |= {
        "model.embed_tokens.weight": embedding,
        "model.norm.weight": model.norm.weight.detach(),
        "lm_head.weight": torch.cat((never, code_rows(head[:END_ROW]))),
    }
    expanded = Qwen3ForCausalLM(build_config(model.shape))
    expanded.load_state_dict(state)
    return expanded.eval()


def token_texts() -> dict[str, int]:
    """Return the number of each token by its text."""
    texts = {number: f"<|unused_{number}|>" for number in range(FIRST_CODE)}
    texts |= {number: symbol for symbol, number in phoneme_table().items()}
    texts |= (
        MARKS | VOICE_TEXTS | {FIRST_CODE + code: f"<|s_{code}|>" for code in range(VOCABULARY)}
    )
    return {text: number for number, text in texts.items()}


def build_tokenizer(texts: dict[str, int]) -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token per phoneme. Other characters are dropped, as in the service.

    A voice name is recognised only at the beginning, or directly after a special token. A text
    therefore cannot name a voice.
    """
    symbols = "".join(map(re.escape, phoneme_table()))
    voices = "|".join(map(re.escape, VOICE_TEXTS.values()))
    core = Tokenizer(models.WordLevel(texts, unk_token=MARKS[MESSAGE_END]))
    core.normalizer = normalizers.Replace(Regex(f"[^{symbols}]"), "")
    core.pre_tokenizer = pre_tokenizers.Split(Regex(rf"\A(?:{voices})|."), "isolated")
    core.decoder = decoders.Fuse()
    whole = [text for text, number in texts.items() if number in MARKS or number >= FIRST_CODE]
    core.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in whole])  # pyright: ignore[reportUnknownMemberType]
    end = MARKS[MESSAGE_END]
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=end, pad_token=end, model_max_length=MAX_TOKENS
    )


def fill_card(trained: LanguageModel, expanded: Qwen3ForCausalLM, folder: Path) -> str:
    """Fill in the model card of a folder that has all other files."""
    return render(
        CARD.read_text(encoding="utf-8"),
        model=PROFILE.model,
        trained=millions(trained),
        parameters=millions(expanded),
        dtype=str(expanded.dtype).removeprefix("torch."),
        size=str(size_mb(folder)),
        voices=", ".join(VOICES),
        phonemes=" ".join(symbol for symbol in phoneme_table() if symbol != " "),
        context=str(MAX_TOKENS),
        temperature=str(PROFILE.sampling.temperature),
    )


def millions(model: nn.Module) -> str:
    """Format the number of a model's parameters in millions."""
    return f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f}"


def size_mb(folder: Path) -> int:
    """Return the total size of the files in a folder, in MB."""
    return round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6)


def export(weights: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write model, tokenizer, model card, and sampling defaults for requests without their own."""
    model = read_language_model(weights.read_bytes())
    expanded = expand(model)
    nn.Module.to(expanded, dtype)
    expanded.generation_config.do_sample = True
    expanded.generation_config.temperature = PROFILE.sampling.temperature
    expanded.save_pretrained(folder)  # pyright: ignore[reportUnknownMemberType]
    build_tokenizer(token_texts()).save_pretrained(folder)  # pyright: ignore[reportUnknownMemberType]
    (folder / "README.md").write_text(fill_card(model, expanded, folder), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Export a trained model."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument(
        "--weights",
        type=Path,
        default=SHIPPED,
        help="weights file (default: that in training/weights)",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="float16 has half the size and changes one code in 70",
    )
    options = parser.parse_args(arguments)
    folder = options.data / "qwen3"
    export(options.weights, folder, DTYPES[options.dtype])
    print(f"{folder}: {size_mb(folder)} MB", flush=True)


if __name__ == "__main__":
    main()
