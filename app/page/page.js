// The page: what is typed and chosen becomes a request, and its answer is heard while it comes.

import { Failure, answerOf } from "./answer.js";
import { FrameDecoder, framed } from "./frames.js";
import { Player, SampleReader, join, withSizes } from "./sound.js";
import { Waveform } from "./waveform.js";

const RAW = ["wav", "pcm"];
const FRAMED = await framed();
const STREAMED = [...RAW, ...FRAMED]; // heard while they come; a browser decodes the others only when whole
const RATE_HZ = 24_000; // what the codecs make; an answer of another rate gets a context of its own
const KEY = "speech-server-key";

const at = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const waveform = new Waveform(at.wave);
let limits = null;

/** What is being spoken or was spoken last. */
export let run = null;

class Run {
  constructor(format) {
    this.format = format;
    this.asked_ms = performance.now();
    this.abort = new AbortController();
    this.parts = [];
    this.active = true;
    this.file = null; // the answer as it would be saved, once it is whole
    this.open(RATE_HZ); // at once, within the click: Safari plays nothing that opens later
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

  /** Samples to the loudspeaker and the waveform. */
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
  if (!limits) await learn(); // the server was not there when the page was opened
  stop();
  at.error.textContent = "";
  for (const figure of [at.first, at.whole, at.length]) figure.textContent = "–";
  waveform.clear();
  const mine = (run = new Run(at.format.value));
  offer();
  tell("Asking");
  requestAnimationFrame(follow);
  try {
    await receive(mine);
    await mine.player.ended();
    if (mine.active) tell(summary(mine));
  } catch (error) {
    if (mine.active) report(error, mine);
    await mine.player.ended(); // what came before a failure is still heard
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
  mine.file = new Blob([mine.format === "wav" ? withSizes(bytes) : bytes], { type: answer.headers.get("content-type") });
  offer();
  if (!mine.player.scheduled) mine.hear(await decoded(mine, bytes));
}

/** What makes samples of the answer while it comes, or null where it has to be whole. */
function readerOf(mine) {
  if (FRAMED.includes(mine.format)) return new FrameDecoder(mine.format, mine.context.sampleRate, (it) => mine.hear(it));
  if (!RAW.includes(mine.format)) return null;
  const samples = new SampleReader(mine.format);
  return { feed: (bytes) => mine.hear(samples.feed(bytes)), finish: () => {} };
}

async function decoded(mine, bytes) {
  try {
    return (await mine.context.decodeAudioData(bytes.buffer)).getChannelData(0);
  } catch {
    throw new Failure(`This browser cannot play ${mine.format}. The answer is complete: download it, or choose wav.`);
  }
}

function report(error, mine) {
  const heard = mine?.player.scheduled ? ` after ${duration(waveform.length_s)} of sound` : "";
  tell("");
  if (error.status === 401) at.access.open = true;
  at.error.textContent =
    error instanceof Failure ? error.message : `The answer broke off${heard}; the server's log says why.`;
}

function summary({ player }) {
  const times = player.gaps === 1 ? "once" : `${player.gaps} times`;
  return player.gaps ? `Done; it came too late ${times}, which was heard as a gap` : "Done";
}

/** An answer of the server, asked with the key where there is one. */
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

/** Show what can be done now. Buttons keep the focus, so they are never really disabled. */
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

/** The request for a shell, in which a single quote ends a string; a key stays out of it. */
function curlLine() {
  const body = JSON.stringify(request()).replaceAll("'", "'\\''");
  const key = at.key.value ? ` -H "Authorization: Bearer $API_KEY"` : "";
  const url = new URL("v1/audio/speech", document.baseURI);
  return `curl '${url}' -H 'Content-Type: application/json'${key} -d '${body}' --output speech.${at.format.value}`;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(at.curl.textContent);
    at.copied.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(at.curl); // no clipboard without https, except on localhost
    at.copied.textContent = "Selected: copy it with Ctrl+C";
  }
}

function show() {
  const [length, most] = [[...at.text.value].length, limits?.input_characters];
  at.count.textContent = most ? `${length.toLocaleString("en")} of ${most.toLocaleString("en")} characters` : "";
  at.count.classList.toggle("over", length > most);
  at.times.textContent = `${Number(at.speed.value).toFixed(2)} ×`;
  at.heard.textContent = STREAMED.includes(at.format.value)
    ? ""
    : `Here ${at.format.value} is heard once it is complete; ${STREAMED.join(", ")} are heard while they come.`;
  at.curl.textContent = curlLine();
  at.copied.textContent = "";
}

function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen)));
}

async function learn() {
  try {
    limits = await (await ask("page/limits")).json();
    at.model.textContent = limits.model;
    [at.speed.min, at.speed.max] = [limits.slowest, limits.fastest];
    fill(at.format, limits.formats.map((name) => [name, name]), limits.formats.find((name) => RAW.includes(name)));
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
