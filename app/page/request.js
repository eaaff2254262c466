// Requests to the server, with errors as messages for the user.

/** An error with a message for the user, and the status of the response if there was one. */
export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return a successful response. Throws a Failure with the server's message, or an AbortError. */
export async function fetchResponse(path, options) {
  const response = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Failure("The server cannot be reached.");
  });
  if (!response.ok) throw new Failure(await reason(response), response.status);
  return response;
}

async function reason(response) {
  const wait_s = response.headers.get("retry-after");
  const again = wait_s ? ` You may try again after ${wait_s} s.` : "";
  try {
    const { message, code } = (await response.json()).error;
    return `${message} (${[response.status, code].filter(Boolean).join(" ")}).${again}`;
  } catch {
    const status = `${response.status} ${response.statusText}`.trimEnd();
    return `The server responded with ${status}.${again}`;
  }
}
