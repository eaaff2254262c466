// The page: send the form as a request and play the response while it arrives.

import { Failure, fetchResponse } from "./request.js";
import { FrameDecoder, frameFormats } from "./frames.js";
import { Player, SampleReader, join, withSizes } from "./sound.js";
import { Waveform } from "./waveform.js";

const RAW = ["wav", "pcm"];
const FRAMED = await frameFormats();
// Formats that play while they arrive. A browser decodes the others only when they are complete.
const STREAMED = [...RAW, ...FRAMED];
const RATE_HZ = 24_000; // rate of the codecs; a response of another rate gets its own AudioContext
const KEY = "speech-server-key"; // name of the API key in sessionStorage

const withId = [...document.querySelectorAll("[id]")];
const elements = Object.fromEntries(withId.map((element) => [element.id, element]));
const waveform = new Waveform(elements.wave);
let limits = null;

/** The current or the last speech request. */
export let run = null;

/** One speech request, with the player and the chunks of its response. */
class SpeechRun {
  constructor(format) {
    this.format = format;
    this.started_ms = performance.now();
    this.abort = new AbortController();
    this.chunks = [];
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
    return (performance.now() - this.started_ms) / 1000;
  }

  /** Play samples and add them to the waveform. */
  play(samples) {
    if (!samples.length || !this.active) return;
    if (!this.player.scheduled) {
      elements.first.textContent = duration(this.elapsed_s);
      setStatus("Playing");
    }
    this.player.feed(samples);
    waveform.add(samples, this.context.sampleRate);
    elements.length.textContent = duration(waveform.length_s);
  }

  end() {
    this.active = false;
    this.abort.abort();
    if (this.context.state !== "closed") this.context.close();
  }
}

async function speak() {
  if (!limits) await loadLimits(); // the server was unreachable when the page was opened
  stop();
  elements.error.textContent = "";
  for (const figure of [elements.first, elements.whole, elements.length]) figure.textContent = "–";
  waveform.clear();
  const speech = (run = new SpeechRun(elements.format.value));
  updateButtons();
  setStatus("Waiting for audio");
  requestAnimationFrame(drawWaveform);
  try {
    await receive(speech);
    await speech.player.ended();
    if (speech.active) setStatus(summary(speech));
  } catch (error) {
    if (speech.active) showError(error, speech);
    await speech.player.ended(); // audio received before an error is still played
  }
  if (speech.active) speech.end();
  updateButtons();
}

async function receive(speech) {
  const response = await send("v1/audio/speech", {
    method: "POST",
    body: JSON.stringify(request()),
    headers: { "Content-Type": "application/json" },
    signal: speech.abort.signal,
  });
  speech.open(Number(response.headers.get("x-audio-sample-rate")) || RATE_HZ);
  const decoder = decoderOf(speech);
  const body = response.body.getReader();
  try {
    for (let read = await body.read(); !read.done; read = await body.read()) {
      speech.chunks.push(read.value);
      decoder?.feed(read.value);
    }
    elements.whole.textContent = duration(speech.elapsed_s);
  } finally {
    await decoder?.finish();
  }
  const bytes = join(speech.chunks);
  const type = response.headers.get("content-type");
  speech.file = new Blob([speech.format === "wav" ? withSizes(bytes) : bytes], { type });
  updateButtons();
  if (!speech.player.scheduled) speech.play(await decoded(speech, bytes));
}

/** Return a decoder that plays the response while it arrives, or null if it must be complete. */
function decoderOf(speech) {
  const { format, context } = speech;
  const play = (samples) => speech.play(samples);
  if (FRAMED.includes(format)) return new FrameDecoder(format, context.sampleRate, play);
  if (!RAW.includes(format)) return null;
  const samples = new SampleReader(format);
  return { feed: (bytes) => play(samples.feed(bytes)), finish: () => {} };
}

async function decoded(speech, bytes) {
  try {
    return (await speech.context.decodeAudioData(bytes.buffer)).getChannelData(0);
  } catch {
    const advice = "The audio is complete. Download it, or choose wav.";
    throw new Failure(`This browser cannot play ${speech.format}. ${advice}`);
  }
}

function showError(error, speech) {
  const after = speech?.player.scheduled ? ` after ${duration(waveform.length_s)} of audio` : "";
  const cut = `The response was cut off${after}. See the server log.`;
  setStatus("");
  if (error.status === 401) elements.access.open = true;
  elements.error.textContent = error instanceof Failure ? error.message : cut;
}

function summary({ player }) {
  const gaps = player.gaps === 1 ? "1 gap" : `${player.gaps} gaps`;
  return player.gaps ? `Done, with ${gaps} in the audio` : "Done";
}

/** Send a request, with the API key if there is one, and return the response. */
async function send(path, options = {}) {
  const key = elements.key.value ? { Authorization: `Bearer ${elements.key.value}` } : {};
  return fetchResponse(path, { ...options, headers: { ...options.headers, ...key } });
}

function stop() {
  if (!run?.active) return;
  run.end();
  setStatus("Stopped");
  updateButtons();
}

/** Update the buttons. They are never really disabled, so that they keep the focus. */
function updateButtons() {
  elements.stop.ariaDisabled = String(!run?.active);
  elements.download.ariaDisabled = String(!run?.file);
}

function drawWaveform() {
  if (run.context.state !== "closed") waveform.draw(run.player.played_s);
  else waveform.draw();
  if (run.active) requestAnimationFrame(drawWaveform);
}

function setStatus(text) {
  elements.status.textContent = text;
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
  const voice = elements.voice.selectedOptions[0];
  const chosen = { input: elements.text.value, response_format: elements.format.value };
  if (voice) chosen.voice = voice.value === voice.text ? voice.value : { id: voice.value };
  if (Number(elements.speed.value) !== 1) chosen.speed = Number(elements.speed.value);
  return chosen;
}

/** Return the curl command for a shell, with single quotes escaped and without the API key. */
function curlLine() {
  const body = JSON.stringify(request()).replaceAll("'", "'\\''");
  const key = elements.key.value ? ` -H "Authorization: Bearer $API_KEY"` : "";
  const url = new URL("v1/audio/speech", document.baseURI);
  const options = `-H 'Content-Type: application/json'${key} -d '${body}'`;
  return `curl '${url}' ${options} --output speech.${elements.format.value}`;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(elements.curl.textContent);
    elements.copied.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(elements.curl); // the clipboard needs https or localhost
    elements.copied.textContent = "Selected. Press Ctrl+C to copy.";
  }
}

function updateForm() {
  const length = [...elements.text.value].length;
  const limit = limits?.input_characters;
  const [used, most] = [length, limit].map((number) => number?.toLocaleString("en"));
  elements.count.textContent = limit ? `${used} of ${most} characters` : "";
  elements.count.classList.toggle("over", length > limit);
  elements.times.textContent = `${Number(elements.speed.value).toFixed(2)} ×`;
  elements.playback.textContent = STREAMED.includes(elements.format.value)
    ? ""
    : `This browser plays only ${STREAMED.join(", ")} before the response is complete.`;
  elements.curl.textContent = curlLine();
  elements.copied.textContent = "";
}

function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

function fill(select, options, chosen) {
  const option = ([value, text]) => new Option(text, value, value === chosen, value === chosen);
  select.replaceChildren(...options.map(option));
}

async function loadLimits() {
  try {
    limits = await (await send("page/limits")).json();
    elements.model.textContent = limits.model;
    [elements.speed.min, elements.speed.max] = [limits.slowest, limits.fastest];
    const { formats } = limits;
    const first = formats.find((name) => RAW.includes(name));
    fill(elements.format, formats.map((name) => [name, name]), first);
    updateForm();
    const { voices } = await (await send("v1/audio/voices")).json();
    fill(elements.voice, voices.map(({ id, name }) => [id, name]), limits.voice);
    updateForm();
    setStatus("Ready");
  } catch (error) {
    showError(error);
  }
}

elements.key.value = sessionStorage.getItem(KEY) ?? "";
elements.key.addEventListener("change", () => {
  sessionStorage.setItem(KEY, elements.key.value);
  elements.error.textContent = "";
  loadLimits();
});
elements.form.addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
elements.stop.addEventListener("click", stop);
elements.download.addEventListener("click", download);
elements.copy.addEventListener("click", copy);
document.addEventListener("input", updateForm);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    speak();
  }
});
loadLimits();
