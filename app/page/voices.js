// The voices: their list with descriptions, a preview of each, and the deletion of cloned ones.

import { clearError, elements, showError } from "./elements.js";
import { togglePreview } from "./preview.js";
import { send, sendJson } from "./request.js";

// The preview's text in the language of a voice; English for others.
const GREETINGS = {
  en: "Hello! This is how I sound.",
  ms: "Helo! Beginilah bunyi suara saya.",
  ta: "வணக்கம்! என் குரல் இப்படித்தான் இருக்கும்.",
  zh: "你好！这是我的声音。",
};
const languageNames = new Intl.DisplayNames(["en"], { type: "language" });
const previews = new Map(); // encoded audio by the id of the voice
let voices = [];

/** Load the voices, and choose the one that was chosen or `preferred`. Throws a Failure. */
export async function loadVoices(preferred) {
  voices = (await (await send("v1/audio/voices")).json()).voices;
  const chosen = elements.voice.value || preferred;
  const options = voices.map((voice) => new Option(labelOf(voice), voice.id));
  elements.voice.replaceChildren(...options);
  chooseVoice(voices.some(({ id }) => id === chosen) ? chosen : preferred);
}

/** Choose a voice by its id. */
export function chooseVoice(id) {
  elements.voice.value = id;
  showVoice();
}

/** Return the name of the chosen voice. */
export function voiceName() {
  return chosenVoice()?.name ?? "";
}

/** Show the deletion for a cloned voice. */
export function showVoice() {
  elements.discard.hidden = !chosenVoice()?.created_at;
}

function chosenVoice() {
  return voices.find(({ id }) => id === elements.voice.value);
}

function labelOf({ name, description, language, created_at, sample_s }) {
  const facts = [description, language && languageNames.of(language)];
  if (created_at) facts.push(`Cloned from ${sample_s.toFixed(1)} s`);
  const known = facts.filter(Boolean).join(", ");
  return known ? `${name} – ${known}` : name;
}

async function preview() {
  clearError("voice");
  const { id, language } = chosenVoice() ?? {};
  if (!id) return;
  try {
    await togglePreview(elements.listen, async () => {
      if (!previews.has(id)) previews.set(id, await previewOf(id, language));
      return previews.get(id).slice(); // decoding detaches the buffer
    });
  } catch (error) {
    showError("voice", error.message);
  }
}

async function previewOf(id, language) {
  const input = GREETINGS[language?.split("-")[0]] ?? GREETINGS.en;
  const body = { input, voice: { id }, response_format: "wav", stream: false };
  return (await sendJson("v1/audio/speech", body)).arrayBuffer();
}

async function discard() {
  const { id, name } = chosenVoice();
  if (!confirm(`Delete the voice ${name}?`)) return;
  try {
    await send(`v1/audio/voices/${id}`, { method: "DELETE" });
    await loadVoices(voices[0].id);
    elements.voice.focus();
    elements.voice.dispatchEvent(new Event("input", { bubbles: true }));
  } catch (error) {
    showError("voice", error.message);
  }
}

/** Connect the controls. */
export function connectVoices() {
  elements.voice.addEventListener("input", showVoice);
  elements.listen.addEventListener("click", preview);
  elements.discard.addEventListener("click", discard);
}
