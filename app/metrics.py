"""Counters and histograms, one flat list. Labels come from closed sets, never from requests."""

from prometheus_client import Counter, Gauge, Histogram

READY = Gauge("tts_ready", "1 when /ready answers 200, else 0; found out when it is scraped.")
BUILD = Gauge("tts_build_info", "1, with what runs.", ["version", "profile", "codec"])
REQUESTS = Counter(
    "tts_requests_total", "Answers by outcome: ok, cancelled, or an error code.", ["outcome"]
)
IN_FLIGHT = Gauge(
    "tts_requests_in_flight",
    "Speech requests being served, those that wait for their turn included.",
)
REFUSED = Counter(
    "tts_refused_total",
    "Requests refused: no places, none for their key, decode (the devices' time), engine (the embedded engine's time), "
    "late (the devices let clients run dry); uploads, texts (to normalize): no places for those.",
    ["reason"],
)
WAITING = Gauge(
    "tts_requests_waiting", "Streams that wait until the decode devices can keep them in sound."
)
ADMISSION_WAIT = Histogram(
    "tts_admission_wait_seconds",
    "From the admission of a stream's request to its turn on the decode devices.",
    buckets=(0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10),
)
TASKS = Gauge("tts_tasks", "Tasks of the event loop.")
FIRST_AUDIO = Histogram(
    "tts_first_audio_seconds",
    "From the request to the first bytes that hold samples.",
    buckets=(0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
)
FIRST_WINDOW = Histogram(
    "tts_first_window_seconds",
    "From the arrival of the codes that the first window needs to the first bytes that hold samples: what the "
    "service itself adds to the first audio.",
    buckets=(0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5),
)
AUDIO = Counter("tts_audio_seconds_total", "Seconds of audio encoded.")
RETRIES = Counter(
    "tts_retries_total", "Second attempts at an answer, by the first one's error code.", ["reason"]
)
RUNAWAYS = Counter(
    "tts_runaways_total",
    "Generations that were not as long as their text: length (the token limit), repetition, silence, short.",
    ["kind"],
)
UNDERRUNS = Counter(
    "tts_underruns_total", "Windows that came after a listener in real time had run dry."
)
ENGINE_UP = Gauge(
    "tts_engine_up",
    "1, or 0 while an engine of TTS_API is out of use, or on trial after requests to it alone have failed.",
    ["engine"],
)
ENGINE_STREAMS = Gauge(
    "tts_engine_streams", "Requests that an engine of TTS_API is working on.", ["engine"]
)
ENGINE_FAILURES = Counter(
    "tts_engine_failures_total",
    "Requests to an engine of TTS_API that failed, by error code, and failed questions after its health (probe).",
    ["engine", "reason"],
)
ENGINE_TOKENS = Counter("tts_engine_tokens_total", "Codec tokens received.")
TOKENS_DROPPED = Counter(
    "tts_engine_tokens_dropped_total", "Tokens out of their slot's turn, dropped."
)
DECODE_QUEUE = Gauge("tts_decode_queue", "Windows that wait for a device.")
DECODE_SECONDS = Histogram(
    "tts_decode_seconds",
    "One decode call.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DECODE_BATCH = Histogram(
    "tts_decode_batch_size", "Windows in one decode call.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
REFERENCE_SECONDS = Histogram(
    "tts_reference_encode_seconds",
    "Encoding one reference.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
CLONED_VOICES = Gauge("tts_cloned_voices", "Stored voices.")
GRAPH_MISSES = Counter(
    "tts_decode_graph_misses_total", "Decode calls that fitted no captured graph."
)
DECODE_MEMORY = Gauge(
    "tts_decode_device_memory_bytes",
    "Memory that the codec's process holds on each device of DEVICE.",
    ["device"],
)
DECODE_FAILURES = Counter("tts_decode_failures_total", "Windows that the codec could not decode.")
