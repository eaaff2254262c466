// The text as it will be spoken, fetched while its part of the page is open.

import { elements } from "./elements.js";
import { sendJson } from "./request.js";

const PAUSE_MS = 400; // without a change of the text
let timer = null;
let abort = null;
let shown = ""; // the request of the text that is shown or fetched

/** Fetch the spoken text of a request after a pause, if the user has opened it. */
export function updateSpokenText({ input, language }) {
  const body = { input, language, normalize: elements.normalize.checked };
  const wanted = JSON.stringify(body);
  if (!elements.spoken.open || wanted === shown) return;
  clearTimeout(timer);
  abort?.abort();
  timer = setTimeout(() => fetchSpokenText(body), shown ? PAUSE_MS : 0);
  shown = wanted;
}

async function fetchSpokenText(body) {
  abort = new AbortController();
  try {
    const response = await sendJson("v1/audio/normalize", body, abort.signal);
    elements.said.textContent = (await response.json()).output;
  } catch (error) {
    if (error.name !== "AbortError") elements.said.textContent = error.message;
  }
}
