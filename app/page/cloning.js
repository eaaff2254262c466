// Cloning: a recording from a file or the microphone, its transcript, and the new voice.

import { clearErrors, elements, enable, showError } from "./elements.js";
import { stopPreview, togglePreview } from "./preview.js";
import { send } from "./request.js";
import { chooseVoice, loadVoices } from "./voices.js";

// Controls by the fields of POST /v1/audio/voices.
const CONTROLS = { audio_sample: "recording", reference_text: "transcript", name: "name" };
const MICROPHONE_ERRORS = {
  NotAllowedError: "The browser does not allow this page to use the microphone.",
  NotFoundError: "There is no microphone.",
};
let recorded = null; // a File from the microphone
let recorder = null;
let asking = false; // the browser asks the user for the microphone

function chosenFile() {
  return elements.recording.files[0] ?? recorded;
}

async function addVoice(event) {
  event.preventDefault();
  clearErrors(elements.cloning);
  const file = chosenFile();
  if (!file) return showError("recording", "Choose a file, or record one.");
  const form = new FormData();
  form.append("audio_sample", file);
  form.append("name", elements.name.value);
  form.append("reference_text", elements.transcript.value);
  elements.cloned.textContent = "Adding the voice";
  try {
    const voice = await (await send("v1/audio/voices", { method: "POST", body: form })).json();
    await loadVoices(voice.id);
    chooseVoice(voice.id);
    elements.voice.dispatchEvent(new Event("input", { bubbles: true }));
    elements.cloned.textContent = `The voice ${voice.name} is ready and chosen.`;
  } catch (error) {
    elements.cloned.textContent = "";
    showError(CONTROLS[error.param] ?? "add", error.message);
  }
}

/** Start or stop a recording from the microphone. */
async function record(longest_s) {
  clearErrors(elements.cloning);
  if (recorder) return recorder.stop();
  if (asking) return;
  asking = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    keepRecording(stream, longest_s);
  } catch (error) {
    showError("recording", MICROPHONE_ERRORS[error.name] ?? error.message);
  }
  asking = false;
}

function keepRecording(stream, longest_s) {
  stopPreview();
  const parts = [];
  const started_ms = performance.now();
  recorder = new MediaRecorder(stream);
  const end = setTimeout(() => recorder.stop(), 1000 * longest_s);
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  recorder.addEventListener("stop", () => {
    clearTimeout(end);
    for (const track of stream.getTracks()) track.stop();
    recorded = new File(parts, "recording", { type: recorder.mimeType });
    recorder = null;
    elements.recording.value = "";
    elements.record.textContent = "Record";
    const length_s = (performance.now() - started_ms) / 1000;
    elements.recorded.textContent = `Recorded ${length_s.toFixed(1)} s`;
    enable(elements.replay, true);
  });
  recorder.start();
  elements.record.textContent = "Stop recording";
  elements.recorded.textContent = "Recording";
}

function onFile() {
  recorded = null;
  elements.recorded.textContent = "";
  enable(elements.replay, elements.recording.files.length);
}

async function replay() {
  const file = chosenFile();
  if (!file) return;
  try {
    await togglePreview(elements.replay, () => file.arrayBuffer());
  } catch {
    showError("recording", "This browser cannot play the recording.");
  }
}

/** Connect the controls. `longest_s` returns the longest recording that the server accepts. */
export function connectCloning(longest_s) {
  elements.cloneform.addEventListener("submit", addVoice);
  elements.recording.addEventListener("change", onFile);
  elements.replay.addEventListener("click", replay);
  elements.record.addEventListener("click", () => record(longest_s()));
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) {
    elements.record.hidden = true;
    elements.recorded.textContent = isSecureContext
      ? "This browser cannot record. Choose a file."
      : "Recording needs a page from https or localhost. Choose a file.";
  }
}
