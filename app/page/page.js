// The page: send the form as a request, and play the response while it arrives.

import {
  charactersTooMany,
  keepChoices,
  limits,
  loadLimits,
  request,
  restoreText,
  settings,
  showChoices,
  tooLong,
} from "./choices.js";
import { connectCloning } from "./cloning.js";
import { clearError, clearErrors, duration, elements, enable, showError } from "./elements.js";
import { clear, connectPlayback, play, player, setStatus, update } from "./playback.js";
import { stopPreview } from "./preview.js";
import { RATE_HZ, receive } from "./receive.js";
import { Failure, keepKey } from "./request.js";
import { SNIPPETS } from "./snippets.js";
import { updateSpokenText } from "./spoken_text.js";
import { Take, Takes } from "./takes.js";
import { connectVoices } from "./voices.js";

// Controls by the fields of a speech request.
const CONTROLS = {
  input: "text",
  voice: "voice",
  response_format: "format",
  speed: "speed",
  language: "language",
};

export { player };
export const takes = new Takes(select, onRemove);
let active = null; // the take that is being received, with its AbortController

async function speak() {
  player.open(RATE_HZ);
  stop();
  clearErrors(elements.form);
  if (!limits && !(await load())) return; // the server was unreachable when the page was opened
  if (charactersTooMany()) return showError("text", `The text is ${tooLong()}.`);
  const take = new Take(request(), settings());
  const abort = new AbortController();
  active = { take, abort };
  takes.add(take);
  select(take);
  try {
    await receive(take, abort.signal, () => update(take));
    take.state = "complete";
  } catch (error) {
    take.state = abort.signal.aborted ? "stopped" : "broken";
    if (!abort.signal.aborted) showFailure(error, take);
  }
  if (active?.take === take) active = null;
  take.sound.finish();
  if (take.chunks.length) takes.update(take);
  else takes.remove(take);
  update(take);
}

/** Select a take and play it. */
function select(take) {
  takes.select(take);
  play(take);
}

function onRemove(take) {
  if (active?.take === take) active.abort.abort();
  if (takes.current !== take) return;
  takes.select(null);
  clear();
}

/** Stop the request and the playback. What has arrived stays. */
function stop() {
  stopPreview();
  if (!active && !player.playing) return;
  active?.abort.abort();
  active = null;
  player.pause();
  setStatus("Stopped");
}

function showFailure(error, take) {
  if (error.status === 401) return showError("key", error.message);
  const heard = take?.sound.length ? ` after ${duration(take.sound.length_s)} of audio` : "";
  const cut = `The response was cut off${heard}. See the server log.`;
  const message = error instanceof Failure ? error.message : cut;
  showError(CONTROLS[error.param] ?? "speak", message);
}

/** Load what the server offers, and return true if it could be reached. */
async function load() {
  try {
    await loadLimits();
    showForm();
    setStatus("Ready");
    return true;
  } catch (error) {
    showFailure(error);
    return false;
  }
}

/** Show what follows from the choices. */
function showForm() {
  showChoices();
  updateSpokenText(request());
  const { value } = elements.snippets.querySelector(":checked");
  const snippet = SNIPPETS[value](request(), document.baseURI, elements.key.value);
  elements.code.textContent = snippet;
  elements.copied.textContent = "";
}

async function copy() {
  try {
    await navigator.clipboard.writeText(elements.code.textContent);
    elements.copied.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(elements.code); // the clipboard needs https or localhost
    elements.copied.textContent = "Selected. Press Ctrl+C to copy.";
  }
}

function onInput({ target }) {
  if (`${target.id}-error` in elements) clearError(target.id);
  keepChoices();
  showForm();
}

function onKey(event) {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    speak();
  }
}

connectVoices();
connectPlayback(() => {
  if (player.playing) stopPreview();
  enable(elements.stop, active || player.playing);
});
connectCloning(() => limits.reference_s);
keepKey(() => {
  clearError("key");
  load();
});
restoreText();
elements.form.addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
elements.stop.addEventListener("click", stop);
elements.copy.addEventListener("click", copy);
elements.normal.addEventListener("click", () => {
  elements.speed.value = 0;
  elements.speed.dispatchEvent(new Event("input", { bubbles: true }));
});
elements.spoken.addEventListener("toggle", () => updateSpokenText(request()));
document.addEventListener("input", onInput);
document.addEventListener("keydown", onKey);
load();
