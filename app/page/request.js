// Requests to the server, with errors as messages for the user.

import { elements } from "./elements.js";
import { recall, remember } from "./storage.js";

const KEY = "speech-server-key"; // name of the API key in sessionStorage

/** An error with a message for the user. Of a response it has the status and the field. */
export class Failure extends Error {
  constructor(message, status, param) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

/** Return a successful response. Throws a Failure with the server's message, or an AbortError. */
export async function send(path, options = {}) {
  const key = elements.key.value ? { Authorization: `Bearer ${elements.key.value}` } : {};
  const headers = { ...options.headers, ...key };
  const response = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new Failure("The server cannot be reached.");
  });
  if (!response.ok) throw await failureOf(response);
  return response;
}

/** Send a JSON body. */
export function sendJson(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return send(path, { method: "POST", body: JSON.stringify(body), headers, signal });
}

async function failureOf(response) {
  const wait_s = response.headers.get("retry-after");
  const again = wait_s ? ` You may try again after ${wait_s} s.` : "";
  try {
    const { message, code, param } = (await response.json()).error;
    const source = [response.status, code].filter(Boolean).join(" ");
    return new Failure(`${message} (${source}).${again}`, response.status, param);
  } catch {
    const status = `${response.status} ${response.statusText}`.trimEnd();
    return new Failure(`The server responded with ${status}.${again}`, response.status);
  }
}

/** Keep the API key until the tab is closed, and call `onChange` when the user changes it. */
export function keepKey(onChange) {
  elements.key.value = recall("sessionStorage", KEY) ?? "";
  elements.key.addEventListener("change", () => {
    remember("sessionStorage", KEY, elements.key.value);
    onChange();
  });
}
