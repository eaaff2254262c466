// The choices of the form: the values the server offers, the request, and what a reload keeps.

import { elements } from "./elements.js";
import { RAW, STREAMED } from "./receive.js";
import { send } from "./request.js";
import { recall, remember } from "./storage.js";
import { loadVoices, showVoice, voiceName } from "./voices.js";

const CHOICES = "speech-server-choices"; // name in localStorage
const KEPT = ["voice", "language", "format", "speed"];
const HALF = 30; // steps of the slider to each side of the normal speed
const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

const kept = readKept();

/** Values that the server offers, or null until it is reached. */
export let limits = null;

/** Load what the server offers, and restore the choices. Throws a Failure. */
export async function loadLimits() {
  limits = await (await send("page/limits")).json();
  elements.model.textContent = limits.model;
  const { formats, languages } = limits;
  fill(elements.format, formats.map((name) => [name, name]));
  elements.format.value = formats.find((name) => RAW.includes(name));
  const named = (code) => (code === "auto" ? "Detect" : languageNames.of(code));
  fill(elements.language, languages.map((code) => [code, named(code)]));
  elements.normalize.checked = kept.normalize ?? limits.normalize;
  elements.cloning.hidden = !limits.clones;
  await loadVoices(limits.voice);
  for (const name of KEPT) choose(elements[name], kept[name]);
  showVoice();
}

/** Restore the text, which does not depend on the server. */
export function restoreText() {
  choose(elements.text, kept.text);
}

/** Return the body of the speech request. */
export function request() {
  const { text, format, language, normalize, voice } = elements;
  const body = {
    model: limits?.model,
    // A model's own voice has its name as its id.
    voice: voiceName() === voice.value ? voice.value : { id: voice.value },
    input: text.value,
    response_format: format.value,
  };
  if (speed() !== 1) body.speed = speed();
  if (normalize.checked !== limits?.normalize) body.normalize = normalize.checked;
  if (normalize.checked && language.value !== "auto") body.language = language.value;
  return body;
}

/** Return the choices for people: voice, speed and format. */
export function settings() {
  return [voiceName(), `${speed().toFixed(2)} ×`, elements.format.value];
}

/** Return the characters above the limit, as the server counts them. */
export function charactersTooMany() {
  return Math.max(0, [...elements.text.value].length - (limits?.input_characters ?? Infinity));
}

/** Return the chosen speed: the slider's middle is 1, and equal steps are equal ratios. */
export function speed() {
  const share = Number(elements.speed.value) / HALF;
  if (!limits) return 1;
  return Number((share < 0 ? limits.slowest ** -share : limits.fastest ** share).toFixed(2));
}

/** Show what follows from the choices, and keep them for a reload. */
export function showChoices() {
  const { count, format, playback, times } = elements;
  const most = limits?.input_characters;
  const length = [...elements.text.value].length;
  const [used, allowed] = [length, most].map((number) => number?.toLocaleString("en"));
  count.textContent = tooLong() || (most ? `${used} of ${allowed} characters` : "");
  count.classList.toggle("over", charactersTooMany() > 0);
  times.textContent = `${speed().toFixed(2)} ×`;
  elements.speed.ariaValueText = `${speed().toFixed(2)} times`;
  elements.language.disabled = !elements.normalize.checked;
  playback.textContent = STREAMED.includes(format.value)
    ? ""
    : `This browser plays only ${STREAMED.join(", ")} before the response is complete.`;
}

/** Return the message about a text that is too long, or "". */
export function tooLong() {
  const characters = charactersTooMany();
  const number = characters.toLocaleString("en");
  return characters ? `${number} ${characters === 1 ? "character" : "characters"} too long` : "";
}

/** Keep the choices for a reload. */
export function keepChoices() {
  kept.text = elements.text.value;
  if (limits) {
    for (const name of KEPT) kept[name] = elements[name].value;
    kept.normalize = elements.normalize.checked;
  }
  remember("localStorage", CHOICES, JSON.stringify(kept));
}

function readKept() {
  try {
    return Object(JSON.parse(recall("localStorage", CHOICES)));
  } catch {
    return {}; // not JSON
  }
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

/** Set the value of a control, unless it is no option of a list. */
function choose(control, value) {
  const known = control.options && [...control.options].some((option) => option.value === value);
  if (value !== undefined && known !== false) control.value = value;
}
