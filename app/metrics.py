"""Prometheus metrics. The values of their labels are from fixed sets, never from requests."""

from prometheus_client import Counter, Gauge, Histogram

READY = Gauge("tts_ready", "1 if /ready answers 200, else 0; evaluated at each scrape.")
BUILD = Gauge(
    "tts_build_info",
    "Always 1; the labels are the running version, profile and codec.",
    ["version", "profile", "codec"],
)
REQUESTS = Counter(
    "tts_requests_total",
    "Finished requests by outcome: ok, cancelled, or an error code.",
    ["outcome"],
)
IN_FLIGHT = Gauge(
    "tts_requests_in_flight", "Speech requests in progress, including those that wait for capacity."
)
REFUSED = Counter(
    "tts_refused_total",
    "Rejected requests by reason: places (MAX_CONCURRENT_REQUESTS), "
    "key (MAX_CONCURRENT_REQUESTS_PER_KEY), decode (no decode capacity), "
    "engine (no capacity of the embedded engine), late (too many underruns), "
    "uploads (MAX_CONCURRENT_UPLOADS), texts (too many texts to normalise).",
    ["reason"],
)
WAITING = Gauge("tts_requests_waiting", "Streams that wait for decode capacity.")
ADMISSION_WAIT = Histogram(
    "tts_admission_wait_seconds",
    "Time that a stream waited for decode capacity.",
    buckets=(0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10),
)
TASKS = Gauge("tts_tasks", "asyncio tasks in the event loop.")
FIRST_AUDIO = Histogram(
    "tts_first_audio_seconds",
    "Time to first audio: from the request to the first bytes with samples.",
    buckets=(0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
)
FIRST_WINDOW = Histogram(
    "tts_first_window_seconds",
    "The service's own share of the time to first audio: from the arrival of the first window's "
    "codes to the first bytes with samples.",
    buckets=(0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5),
)
AUDIO = Counter("tts_audio_seconds_total", "Seconds of audio encoded.")
RETRIES = Counter(
    "tts_retries_total", "Retried engine requests, by the error code of the failure.", ["reason"]
)
RUNAWAYS = Counter(
    "tts_runaways_total",
    "Generations whose length does not fit the text, by kind: length (the token limit was "
    "reached), repetition, silence, short.",
    ["kind"],
)
UNDERRUNS = Counter("tts_underruns_total", "Windows sent too late for gapless playback.")
ENGINE_UP = Gauge(
    "tts_engine_up",
    "1 if the engine of ENGINE_URLS is healthy; 0 if it is ejected, or on trial after failed "
    "requests.",
    ["engine"],
)
ENGINE_STREAMS = Gauge(
    "tts_engine_streams", "Requests in progress on an engine of ENGINE_URLS.", ["engine"]
)
ENGINE_FAILURES = Counter(
    "tts_engine_failures_total",
    "Failed requests to an engine of ENGINE_URLS by error code, and failed health checks (probe).",
    ["engine", "reason"],
)
ENGINE_TOKENS = Counter("tts_engine_tokens_total", "Codec tokens received.")
TOKENS_DROPPED = Counter(
    "tts_engine_tokens_dropped_total",
    "Codec tokens dropped because they were of another slot, or their frame was incomplete.",
)
DECODE_QUEUE = Gauge("tts_decode_queue", "Windows that wait for a decode device.")
DECODE_SECONDS = Histogram(
    "tts_decode_seconds",
    "Duration of a decode call.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DECODE_BATCH = Histogram(
    "tts_decode_batch_size", "Windows in one decode call.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
REFERENCE_SECONDS = Histogram(
    "tts_reference_encode_seconds",
    "Time to encode a voice recording.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
CLONED_VOICES = Gauge("tts_cloned_voices", "Stored cloned voices.")
GRAPH_MISSES = Counter(
    "tts_decode_graph_misses_total", "Decode calls that fit no captured CUDA graph."
)
DECODE_MEMORY = Gauge(
    "tts_decode_device_memory_bytes",
    "Device memory taken by loading the codec, by device.",
    ["device"],
)
DECODE_FAILURES = Counter("tts_decode_failures_total", "Windows that the codec failed to decode.")
