"""Scripts that a test runs inside the page, to read its audio and its drawings."""

from __future__ import annotations

EXPOSE = """async () => { window.page = await import("/page/page.js"); }"""
# The state of the player.
RUN = """async () => {
  const { player } = await import("/page/page.js");
  const { gaps, playing, position_s, scheduled } = player;
  const length = player.sound?.length ?? 0;
  return { gaps, length, playing, position_s, scheduled, state: player.context.state };
}"""
# Seconds heard, noted until the end.
HEARD = """async () => {
  const { player } = await import("/page/page.js");
  const played_s = [];
  while (player.playing) {
    played_s.push(player.position_s);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return played_s;
}"""
# The file and the state of the selected take.
FILE = """async () => {
  const { takes } = await import("/page/page.js");
  const bytes = new Uint8Array(await takes.current.file().arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""
# Long and short takes in the list of takes: how many of them stay, and their bytes.
MANY = """async ([seconds, count]) => {
  const { takes } = await import("/page/page.js");
  const { Take } = await import("/page/takes.js");
  for (let index = 0; index < count; index += 1) {
    const take = new Take({ input: `Take ${index}.`, response_format: "pcm" }, ["lark"]);
    take.sound.add(new Float32Array(seconds * 24_000));
    take.sound.finish();
    take.state = "complete";
    takes.add(take);
  }
  return { count: takes.rows.size, bytes: takes.bytes };
}"""
# Pieces of awkward sizes, played by the page's own player on an offline context: the largest error
# of any sample.
SEAMS = """async (rate) => {
  const { Player } = await import("/page/player.js");
  const { Sound } = await import("/page/sound.js");
  const total = rate * 20;
  const context = new OfflineAudioContext(1, total + rate, rate);
  context.resume = async () => {};
  const player = new Player();
  player.use(context);
  player.load(new Sound(rate));
  const sound = Float32Array.from({ length: total }, (_, index) => Math.sin(index * 0.05) * 0.9);
  const sizes = [1, 7, 480, 4801, 333, 9600, 12345];
  for (let at = 0, turn = 0; at < total; turn += 1) {
    const size = sizes[turn % sizes.length];
    player.sound.add(sound.slice(at, at + size));
    player.update();
    at += size;
  }
  const heard = (await context.startRendering()).getChannelData(0);
  const errors = sound.map((sample, index) => Math.abs(heard[index + player.origin] - sample));
  return errors.reduce((worst, error) => Math.max(worst, error), 0);
}"""
# A stream cut into pieces of these sizes, as the samples that the page reads from it.
READ = """async ([encoded, format, sizes]) => {
  const { SampleReader } = await import("/page/sound.js");
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const reader = new SampleReader(format);
  const samples = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length];
    samples.push(...reader.feed(bytes.slice(at, at + size)));
    at += size;
  }
  return samples.map((sample) => sample * 32768);
}"""
# The share of the canvas's rows in which something is drawn.
DRAWN = """() => {
  const canvas = document.getElementById("wave");
  const { width, height } = canvas;
  const image = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const rows = new Set();
  for (let at = 3; at < image.length; at += 4) if (image[at]) rows.add(Math.floor(at / 4 / width));
  return rows.size / height;
}"""
# An answer that breaks off after 0.1 s of sound, and one that notes what it was asked.
BROKEN = """() => {
  window.fetch = async () => new Response(new ReadableStream({
    start(controller) { controller.enqueue(new Uint8Array(4800)); },
    pull(controller) { controller.error(new TypeError("network error")); },
  }));
}"""
NOTED = """() => {
  window.fetch = async (path, { headers }) => {
    window.sent = headers;
    const error = { message: "a key is needed", code: "invalid_api_key" };
    return new Response(JSON.stringify({ error }), { status: 401 });
  };
}"""
# Two refusals, and then the server itself.
BUSY = """() => {
  const real = window.fetch;
  const refusals = [[429, "overloaded"], [503, "not_ready"]];
  window.fetch = async (path, options) => {
    if (!refusals.length) return real(path, options);
    const [status, code] = refusals.shift();
    const body = JSON.stringify({ error: { message: "the server is busy", code } });
    return new Response(body, { status, headers: { "Retry-After": "3" } });
  };
}"""
# No answer before the request is aborted.
SILENT = """() => {
  window.fetch = (path, { signal }) => new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}"""
# An answer whose second half waits for release().
HELD = """() => {
  const real = window.fetch;
  const released = new Promise((resolve) => { window.release = resolve; });
  window.fetch = async (path, options) => {
    const answer = await real(path, options);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const half = Math.floor(bytes.length / 2);
    return new Response(new ReadableStream({
      async start(controller) {
        const { signal } = options;
        signal?.addEventListener("abort", () => controller.error(signal.reason));
        controller.enqueue(bytes.slice(0, half));
        await released;
        if (signal?.aborted) return;
        controller.enqueue(bytes.slice(half));
        controller.close();
      },
    }), { headers: answer.headers });
  };
}"""
# A stream of frames cut into pieces of these sizes: how many samples the page decodes from it.
FRAMES = """async ([encoded, format, rate_hz, sizes]) => {
  const { FrameDecoder } = await import("/page/frames.js");
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  let samples = 0;
  const decoder = new FrameDecoder(format, rate_hz, (piece) => { samples += piece.length; });
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length];
    decoder.feed(bytes.slice(at, at + size));
    at += size;
  }
  await decoder.finish();
  return samples;
}"""
# What an <audio> element makes of a file: how long it says it is, and how far it plays.
ELEMENT = """async ([encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const element = document.createElement("audio");
  element.src = URL.createObjectURL(new Blob([bytes], { type }));
  element.muted = true; // or a browser waits for somebody to touch the page
  let known_s = null;
  element.ondurationchange = () => { known_s ??= element.duration; };
  await element.play().catch(() => {});
  await new Promise((resolve) => {
    element.onended = element.onerror = resolve;
    if (element.error) resolve();
  });
  const { currentTime: played_s, ended, error } = element;
  return { duration_s: known_s, played_s, ended, error: error && error.message };
}"""
# The state of the previews' player.
PREVIEWED = """async () => {
  const { previewPlayer } = await import("/page/preview.js");
  const { playing, sound } = previewPlayer;
  return { playing, length_s: sound?.length_s ?? 0 };
}"""
# Show all parts of the page, and a message in every place for an error.
EVERYTHING = """(message) => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const part of document.querySelectorAll("[hidden]")) part.hidden = false;
  for (const place of document.querySelectorAll(".error")) place.textContent = message;
}"""
OUTLINED = "() => getComputedStyle(document.activeElement).outlineStyle"
OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"
