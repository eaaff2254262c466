// The page: send the form as a request and play the response while it arrives.

import { Failure, answerOf } from "./answer.js";
import { FrameDecoder, framed } from "./frames.js";
import { Player, SampleReader, join, withSizes } from "./sound.js";
import { Waveform } from "./waveform.js";

const RAW = ["wav", "pcm"];
const FRAMED = await framed();
// Formats that play while they arrive. A browser decodes the others only when they are complete.
const STREAMED = [...RAW, ...FRAMED];
const RATE_HZ = 24_000; // rate of the codecs; a response of another rate gets its own AudioContext
const KEY = "speech-server-key"; // name of the API key in sessionStorage

const identified = [...document.querySelectorAll("[id]")];
const at = Object.fromEntries(identified.map((element) => [element.id, element]));
const waveform = new Waveform(at.wave);
let limits = null;

/** The current or the last request. */
export let run = null;

class Run {
  constructor(format) {
    this.format = format;
    this.asked_ms = performance.now();
    this.abort = new AbortController();
    this.parts = [];
    this.active = true;
    this.file = null; // the complete response for the download
    this.open(RATE_HZ); // within the click, because Safari does not play contexts opened later
  }

  open(rate_hz) {
    if (this.context?.sampleRate === rate_hz) return;
    this.context?.close();
    this.context = new AudioContext({ sampleRate: rate_hz });
    this.context.resume();
    this.player = new Player(this.context);
  }

  get elapsed_s() {
    return (performance.now() - this.asked_ms) / 1000;
  }

  /** Play samples and add them to the waveform. */
  hear(samples) {
    if (!samples.length || !this.active) return;
    if (!this.player.scheduled) {
      at.first.textContent = duration(this.elapsed_s);
      tell("Playing");
    }
    this.player.feed(samples);
    waveform.add(samples, this.context.sampleRate);
    at.length.textContent = duration(waveform.length_s);
  }

  end() {
    this.active = false;
    this.abort.abort();
    if (this.context.state !== "closed") this.context.close();
  }
}

async function speak() {
  if (!limits) await learn(); // the server was unreachable when the page was opened
  stop();
  at.error.textContent = "";
  for (const figure of [at.first, at.whole, at.length]) figure.textContent = "–";
  waveform.clear();
  const mine = (run = new Run(at.format.value));
  offer();
  tell("Waiting for audio");
  requestAnimationFrame(follow);
  try {
    await receive(mine);
    await mine.player.ended();
    if (mine.active) tell(summary(mine));
  } catch (error) {
    if (mine.active) report(error, mine);
    await mine.player.ended(); // audio received before an error is still played
  }
  if (mine.active) mine.end();
  offer();
}

async function receive(mine) {
  const answer = await ask("v1/audio/speech", {
    method: "POST",
    body: JSON.stringify(request()),
    headers: { "Content-Type": "application/json" },
    signal: mine.abort.signal,
  });
  mine.open(Number(answer.headers.get("x-audio-sample-rate")) || RATE_HZ);
  const reader = readerOf(mine);
  const body = answer.body.getReader();
  try {
    for (let piece = await body.read(); !piece.done; piece = await body.read()) {
      mine.parts.push(piece.value);
      reader?.feed(piece.value);
    }
    at.whole.textContent = duration(mine.elapsed_s);
  } finally {
    await reader?.finish();
  }
  const bytes = join(mine.parts);
  const type = answer.headers.get("content-type");
  mine.file = new Blob([mine.format === "wav" ? withSizes(bytes) : bytes], { type });
  offer();
  if (!mine.player.scheduled) mine.hear(await decoded(mine, bytes));
}

/** Return a decoder that plays the response while it arrives, or null if it must be complete. */
function readerOf(mine) {
  const { format, context } = mine;
  const hear = (samples) => mine.hear(samples);
  if (FRAMED.includes(format)) return new FrameDecoder(format, context.sampleRate, hear);
  if (!RAW.includes(format)) return null;
  const samples = new SampleReader(format);
  return { feed: (bytes) => hear(samples.feed(bytes)), finish: () => {} };
}

async function decoded(mine, bytes) {
  try {
    return (await mine.context.decodeAudioData(bytes.buffer)).getChannelData(0);
  } catch {
    const advice = "The audio is complete. Download it, or choose wav.";
    throw new Failure(`This browser cannot play ${mine.format}. ${advice}`);
  }
}

function report(error, mine) {
  const after = mine?.player.scheduled ? ` after ${duration(waveform.length_s)} of audio` : "";
  const cut = `The response was cut off${after}. See the server log.`;
  tell("");
  if (error.status === 401) at.access.open = true;
  at.error.textContent = error instanceof Failure ? error.message : cut;
}

function summary({ player }) {
  const gaps = player.gaps === 1 ? "1 gap" : `${player.gaps} gaps`;
  return player.gaps ? `Done, with ${gaps} in the audio` : "Done";
}

/** Send a request, with the API key if there is one, and return the response. */
async function ask(path, options = {}) {
  const key = at.key.value ? { Authorization: `Bearer ${at.key.value}` } : {};
  return answerOf(path, { ...options, headers: { ...options.headers, ...key } });
}

function stop() {
  if (!run?.active) return;
  run.end();
  tell("Stopped");
  offer();
}

/** Update the buttons. They are never really disabled, so that they keep the focus. */
function offer() {
  at.stop.ariaDisabled = String(!run?.active);
  at.download.ariaDisabled = String(!run?.file);
}

function follow() {
  if (run.context.state !== "closed") waveform.draw(run.player.heard_s);
  else waveform.draw();
  if (run.active) requestAnimationFrame(follow);
}

function tell(words) {
  at.status.textContent = words;
}

function download() {
  if (!run?.file) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(run.file);
  link.download = `speech.${run.format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function request() {
  const voice = at.voice.selectedOptions[0];
  const chosen = { input: at.text.value, response_format: at.format.value };
  if (voice) chosen.voice = voice.value === voice.text ? voice.value : { id: voice.value };
  if (Number(at.speed.value) !== 1) chosen.speed = Number(at.speed.value);
  return chosen;
}

/** Return the curl command for a shell, with single quotes escaped and without the API key. */
function curlLine() {
  const body = JSON.stringify(request()).replaceAll("'", "'\\''");
  const key = at.key.value ? ` -H "Authorization: Bearer $API_KEY"` : "";
  const url = new URL("v1/audio/speech", document.baseURI);
  const options = `-H 'Content-Type: application/json'${key} -d '${body}'`;
  return `curl '${url}' ${options} --output speech.${at.format.value}`;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(at.curl.textContent);
    at.copied.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(at.curl); // the clipboard needs https or localhost
    at.copied.textContent = "Selected. Press Ctrl+C to copy.";
  }
}

function show() {
  const [length, most] = [[...at.text.value].length, limits?.input_characters];
  const [used, limit] = [length, most].map((number) => number?.toLocaleString("en"));
  at.count.textContent = most ? `${used} of ${limit} characters` : "";
  at.count.classList.toggle("over", length > most);
  at.times.textContent = `${Number(at.speed.value).toFixed(2)} ×`;
  at.heard.textContent = STREAMED.includes(at.format.value)
    ? ""
    : `This browser plays only ${STREAMED.join(", ")} before the response is complete.`;
  at.curl.textContent = curlLine();
  at.copied.textContent = "";
}

function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

function fill(select, options, chosen) {
  const option = ([value, text]) => new Option(text, value, value === chosen, value === chosen);
  select.replaceChildren(...options.map(option));
}

async function learn() {
  try {
    limits = await (await ask("page/limits")).json();
    at.model.textContent = limits.model;
    [at.speed.min, at.speed.max] = [limits.slowest, limits.fastest];
    const { formats } = limits;
    const first = formats.find((name) => RAW.includes(name));
    fill(at.format, formats.map((name) => [name, name]), first);
    show();
    const { voices } = await (await ask("v1/audio/voices")).json();
    fill(at.voice, voices.map(({ id, name }) => [id, name]), limits.voice);
    show();
    tell("Ready");
  } catch (error) {
    report(error);
  }
}

at.key.value = sessionStorage.getItem(KEY) ?? "";
at.key.addEventListener("change", () => {
  sessionStorage.setItem(KEY, at.key.value);
  at.error.textContent = "";
  learn();
});
at.form.addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
at.stop.addEventListener("click", stop);
at.download.addEventListener("click", download);
at.copy.addEventListener("click", copy);
document.addEventListener("input", show);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    speak();
  }
});
learn();
