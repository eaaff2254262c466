"""Scripts that a test runs inside the page, to read its audio and its drawings."""

from __future__ import annotations

EXPOSE = """async () => { window.page = await import("/page/page.js"); }"""
# What the page says of its last answer.
RUN = """async () => {
  const { run } = await import("/page/page.js");
  const { scheduled, played_s } = run.player;
  return { scheduled, played_s, state: run.context.state };
}"""
# Seconds heard, noted until the context is closed.
HEARD = """async () => {
  const { run } = await import("/page/page.js");
  const played_s = [];
  while (run.context.state !== "closed") {
    played_s.push(run.player.played_s);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return played_s;
}"""
FILE = """async () => {
  const { run } = await import("/page/page.js");
  const bytes = new Uint8Array(await run.file.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""
# Pieces of awkward sizes, played by the page's own player on an offline context: the largest error
# of any sample.
SEAMS = """async (rate) => {
  const { Player } = await import("/page/sound.js");
  const total = rate * 20;
  const context = new OfflineAudioContext(1, total + rate, rate);
  const player = new Player(context);
  const sound = Float32Array.from({ length: total }, (_, index) => Math.sin(index * 0.05) * 0.9);
  const sizes = [1, 7, 480, 4801, 333, 9600, 12345];
  for (let at = 0, turn = 0; at < total; turn += 1) {
    const size = sizes[turn % sizes.length];
    player.feed(sound.slice(at, at + size));
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
        controller.enqueue(bytes.slice(0, half));
        await released;
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
OUTLINED = "() => getComputedStyle(document.activeElement).outlineStyle"
OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"
