"""Commands that train the built-in voices from scratch: `python -m training.NAME --help`.

In order: corpus, speech, codec, encode, pitch, tokens_nar, tokens_lm, export, evaluate, measures,
pictures. They share the folder `--data`, by default `build/voice`.
"""
