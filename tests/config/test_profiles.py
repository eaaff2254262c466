"""Profiles: the presets are complete, and a faulty profile gives a readable error of one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.profiles import (
    PRESETS,
    Profile,
    ProfileError,
    VoiceDetails,
    Voices,
    customise,
    load_profile,
)
from app.errors import VoiceNotFound

PRESET_NAMES = ("builtin", "lark", "orpheus", "scicom")
OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)
OWN = """
name = "own"
model = "me/my-voice"
prompt = "{voice}> {text}"
characters_per_second = 14
typical_rms_db = -22

[codec]
name = "snac"
weights = "./weights"

[tokens]
prefix = "<t_"
suffix = ">"
first_code_number = 3
codes_per_frame = 7

[sampling]
max_tokens = 2048

[voices]
names = ["anna", "ben"]
default = "ben"
aliases = { alloy = "anna" }
"""


def written(folder: Path, text: str = OWN) -> str:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_these_are_the_presets() -> None:
    assert sorted(path.stem for path in PRESETS.glob("*.toml")) == list(PRESET_NAMES)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_preset_resolves_every_name_that_openai_clients_send(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    for voice in OPENAI_VOICES:
        assert profile.voices.find(voice) in profile.voices.names
    for model in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "TTS-model", profile.model, None):
        assert profile.serves(model)
    assert not profile.serves("gpt-5")


def test_the_readmes_request_is_served_by_the_embedded_default_too() -> None:
    builtin, scicom = load_profile("builtin"), load_profile("scicom")
    assert builtin.serves(scicom.model)
    assert all(builtin.voices.find(voice) for voice in scicom.voices.names)


@pytest.mark.parametrize(
    ("name", "codec", "slots", "first"),
    [
        ("builtin", "builtin", 1, 0),
        ("lark", "builtin", 1, 0),
        ("orpheus", "snac", 7, 10),
        ("scicom", "neucodec", 1, 0),
    ],
)
def test_the_presets_codecs(name: str, codec: str, slots: int, first: int) -> None:
    profile = load_profile(name)
    assert (
        profile.codec.name,
        profile.tokens.codes_per_frame,
        profile.tokens.first_code_number,
    ) == (codec, slots, first)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_what_a_text_is_put_in(name: str) -> None:
    profile = load_profile(name)
    assert profile.reads_phonemes == (name == "lark")
    assert profile.text_prompt.count("{text}") == 1
    assert (profile.text_prompt == profile.prompt) != profile.reads_phonemes


def test_the_same_names_lead_to_the_same_voices_embedded_and_behind_vllm() -> None:
    lark, builtin = load_profile("lark"), load_profile("builtin")
    assert (lark.voices, lark.codec, lark.tokens) == (builtin.voices, builtin.codec, builtin.tokens)
    assert (lark.text_prompt, lark.sampling, lark.normalize) == (
        builtin.prompt,
        builtin.sampling,
        builtin.normalize,
    )
    assert lark.typical_rms_db == builtin.typical_rms_db


def test_voices_are_found_by_name_alias_or_default() -> None:
    voices = load_profile("orpheus").voices
    assert voices.find(None) == voices.default == "tara"
    assert voices.find("leo") == "leo"
    assert voices.find("onyx") == "zac"


@pytest.mark.parametrize(
    "name",
    ["", "Tara", "tara ", "../../etc/passwd", "x<|im_end|>", "a\r\nb", "x" * 10_000, "ｔara"],
)
def test_an_unknown_voice_is_refused_without_an_echo(name: str) -> None:
    with pytest.raises(VoiceNotFound) as caught:
        load_profile("orpheus").voices.find(name)
    assert not name or name not in caught.value.message
    assert (caught.value.status, caught.value.param) == (400, "voice")


def test_a_users_own_file(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path))
    assert (profile.model, profile.tokens.first_code_number, profile.sampling.max_tokens) == (
        "me/my-voice",
        3,
        2048,
    )
    assert profile.voices.find("alloy") == "anna"
    assert profile.sampling.temperature is None


def test_the_details_of_a_voice_are_optional(tmp_path: Path) -> None:
    assert load_profile(written(tmp_path)).voices.details == {}
    detailed = f'{OWN}[voices.details]\nben = {{ language = "ms", description = "Calm" }}\n'
    voices = load_profile(written(tmp_path, detailed)).voices
    assert voices.details == {"ben": VoiceDetails(language="ms", description="Calm")}
    assert customise(load_profile(written(tmp_path, detailed)), voices=("anna",)).voices == (
        Voices(names=("anna",), default="anna", aliases={"alloy": "anna"})
    )
    for name, language in (("carl", "ms"), ("ben", "Malay")):
        unknown = f'{OWN}[voices.details]\n{name} = {{ language = "{language}" }}\n'
        with pytest.raises(ProfileError, match="voices"):
            load_profile(written(tmp_path, unknown))


def test_a_file_in_the_working_folder_needs_no_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_profile("own.toml").name == "own"


OLD_NAMES = {
    "max_duration_factor": "longest_speech",
    "min_duration_factor": "shortest_speech",
    "codes_per_frame": "slots",
    "first_code_number": "first",
}


def test_a_file_with_the_names_of_earlier_versions_is_the_same_profile(tmp_path: Path) -> None:
    text = f"max_duration_factor = 3.0\nmin_duration_factor = 0.2\n{OWN}"
    old = text
    for name, old_name in OLD_NAMES.items():
        assert old.count(f"{name} = ") == 1
        old = old.replace(f"{name} = ", f"{old_name} = ")
    profile = load_profile(written(tmp_path, text))
    assert (profile.max_duration_factor, profile.min_duration_factor) == (3.0, 0.2)
    assert load_profile(written(tmp_path, old)) == profile


def test_both_names_of_a_field_are_refused(tmp_path: Path) -> None:
    text = OWN.replace("codes_per_frame = 7", "codes_per_frame = 7\nslots = 7")
    with pytest.raises(ProfileError, match=r"tokens\.slots: Extra inputs"):
        load_profile(written(tmp_path, text))


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ('prompt = "{voice}> {text}"', 'prompt = "{voice}"', "{text}"),
        ('prompt = "{voice}> {text}"', 'prompt = "{text}{text}"', "{text}"),
        ('prompt = "{voice}> {text}"', 'prompt = "{text}{phonemes}"', "{phonemes}"),
        ('model = "me/my-voice"\n', "", "model"),
        ("codes_per_frame = 7", "codes_per_frame = 0", "tokens.codes_per_frame"),
        ("codes_per_frame = 7", 'codes_per_frame = "many"', "tokens.codes_per_frame"),
        ('prefix = "<t_"', 'prefix = ""', "tokens.prefix"),
        ("max_tokens = 2048", "max_tokens = 2048\ntop_p = 3", "sampling.top_p"),
        ("max_tokens = 2048", "max_tokens = 2048\ntemprature = 1", "sampling.temprature"),
        ('name = "snac"', 'name = "encodec"', "codec.name"),
        ('default = "ben"', 'default = "carl"', "carl"),
        ('alloy = "anna"', 'alloy = "carl"', "voices"),
        ('names = ["anna", "ben"]', "names = []", "voices.names"),
        ("typical_rms_db = -22", "typical_rms_db = nan", "typical_rms_db"),
        ("[codec]", "[codec", "line 8"),
    ],
)
def test_a_bad_file_is_named_with_its_field_in_one_line(
    tmp_path: Path, before: str, after: str, field: str
) -> None:
    assert OWN.count(before) == 1
    path = written(tmp_path, OWN.replace(before, after))
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert field in message
    assert "\n" not in message
    assert ": : " not in message


def test_a_file_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe\x00")
    for name in (
        str(path),
        str(tmp_path),
        str(tmp_path / "none.toml"),
        "nosuch",
        "../presets/scicom",
    ):
        with pytest.raises(ProfileError) as caught:
            load_profile(name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.fixture
def scicom() -> Profile:
    return load_profile("scicom")


def test_nothing_chosen_changes_nothing_that_is_sent(scicom: Profile) -> None:
    same = customise(scicom, sampling={"temperature": None})
    assert (same.model, same.sampling, same.voices) == (
        scicom.model,
        scicom.sampling,
        scicom.voices,
    )


def test_an_operators_model_name_keeps_the_others_as_aliases(scicom: Profile) -> None:
    own = customise(scicom, model="my-tts")
    assert own.model == "my-tts"
    assert all(own.serves(name) for name in ("my-tts", scicom.model, "tts-1"))
    assert not scicom.serves("my-tts")


def test_an_operators_voices_replace_the_profiles_and_aliases_still_lead_somewhere(
    scicom: Profile,
) -> None:
    own = customise(scicom, voices=("jenny", "omar"), default_voice="omar")
    assert own.voices.names == ("jenny", "omar")
    assert own.voices.find(None) == "omar"
    assert own.voices.find("alloy") == "jenny"
    assert own.voices.find("onyx") == "omar"  # husein is gone
    with pytest.raises(VoiceNotFound):
        own.voices.find("husein")


def test_the_default_voice_of_an_operators_voices(scicom: Profile) -> None:
    assert customise(scicom, voices=("omar", "husein")).voices.default == "husein"
    assert customise(scicom, voices=("omar", "jenny")).voices.default == "omar"
    assert customise(scicom, default_voice="jenny").voices.default == "jenny"
    with pytest.raises(ProfileError, match="DEFAULT_VOICE 'nobody'"):
        customise(scicom, default_voice="nobody")


def test_an_operators_sampling_defaults(scicom: Profile) -> None:
    own = customise(
        scicom, sampling={"temperature": 0.0, "max_tokens": 100, "repetition_penalty": None}
    )
    assert own.sampling.temperature == 0.0
    assert own.sampling.max_tokens == 100
    assert own.sampling.repetition_penalty == scicom.sampling.repetition_penalty


CLONE = "{reference_text}{tokens}{text}"


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_neucodecs_model_alone_clones(name: str) -> None:
    assert (load_profile(name).clone_prompt is not None) == (name == "scicom")


@pytest.mark.parametrize(
    "template", ["{tokens}{text}", "{reference_text}{text}", CLONE + "{text}", ""]
)
def test_a_clone_prompt_needs_its_fields(tmp_path: Path, template: str) -> None:
    text = OWN.replace('name = "snac"', 'name = "neucodec"').replace(
        "codes_per_frame = 7", "codes_per_frame = 1"
    )
    own = f'clone_prompt = "{template}"\n{text}'
    with pytest.raises(ProfileError, match="clone_prompt must contain"):
        load_profile(written(tmp_path, own))


def test_a_codec_that_cannot_encode_cannot_clone(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="clone_prompt needs the codec neucodec"):
        load_profile(written(tmp_path, f'clone_prompt = "{CLONE}"\n{OWN}'))


def test_an_own_profile_can_clone(tmp_path: Path) -> None:
    text = OWN.replace('name = "snac"', 'name = "neucodec"').replace(
        "codes_per_frame = 7", "codes_per_frame = 1"
    )
    assert (
        load_profile(written(tmp_path, f'clone_prompt = "{CLONE}"\n{text}')).clone_prompt == CLONE
    )


def test_names_and_aliases_are_known(scicom: Profile) -> None:
    assert [scicom.voices.knows(name) for name in ("husein", "alloy", "nobody", "")] == [
        True,
        True,
        False,
        False,
    ]
