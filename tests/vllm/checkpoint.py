"""A tiny Qwen3 checkpoint with a known answer, for a real vLLM without a GPU.

`o_proj` and `down_proj` are zero, so no layer adds anything and the state is the last token's
embedding alone; row B of `lm_head` is the embedding of A where B is to follow A. Greedy or not,
the answer is the same: the next-best token is about 40 nats away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

MESSAGE_START, MESSAGE_END, SPEECH_START, LOOP_START = (
    "<|im_start|>",
    "<|im_end|>",
    "<|speech_start|>",
    "<|loop_start|>",
)
HIDDEN = 256  # random directions of 256 dimensions: the largest cosine among 1,300 is about 0.3
SHARPNESS = 4.0  # logit of the right token: 4 x sqrt(256) x sqrt(256) x 1 / sqrt(256) = 64


def speech_token(number: int) -> str:
    """The text of speech token `number`."""
    return f"<|s_{number}|>"


def answer(codes: Sequence[int], loop: Sequence[int]) -> dict[str, str]:
    """Return successors: `codes` and the end after SPEECH_START, `loop` after LOOP_START."""
    spoken = [SPEECH_START, *map(speech_token, codes), MESSAGE_END]
    cycle = [LOOP_START, *map(speech_token, loop), speech_token(loop[0])]
    return dict([*pairwise(spoken), *pairwise(cycle)])


def _tokenizer(speech_tokens: int) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    names = [
        MESSAGE_START,
        MESSAGE_END,
        SPEECH_START,
        LOOP_START,
        *map(speech_token, range(speech_tokens)),
    ]
    core.add_special_tokens([AddedToken(name, special=True) for name in names])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=MESSAGE_END, pad_token=MESSAGE_END
    )


def _model(tokenizer: PreTrainedTokenizerFast, follows: Mapping[str, str]) -> Qwen3ForCausalLM:
    end = tokenizer.convert_tokens_to_ids(MESSAGE_END)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        eos_token_id=end,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn(len(tokenizer), HIDDEN), dim=1)
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for before, after in follows.items():
            ids = tokenizer.convert_tokens_to_ids([before, after])
            model.lm_head.weight[ids[1]] += (SHARPNESS * embeddings[ids[0]]).to(torch.bfloat16)
    return model


def write_checkpoint(folder: Path, follows: Mapping[str, str], speech_tokens: int = 1024) -> None:
    """Write a checkpoint that vLLM serves: `follows` maps each token's text to the next one's."""
    tokenizer = _tokenizer(speech_tokens)
    tokenizer.save_pretrained(folder)
    model = _model(tokenizer, follows)
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
