"""Commands that make the built-in voice from nothing, each `python -m voices.train.NAME --help`.

In order: corpus, speech, codec, encode, pitch, tokens_nar, tokens_lm, export, evaluate, measures, pictures. They
share a folder, `build/voice` unless `--data` names another.
"""
