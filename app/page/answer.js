// Requests to the server, with errors as messages for the user.

/** An error with a message for the user, and the status of the response if there was one. */
export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return a successful response. Throws a Failure with the server's message, or an AbortError. */
export async function answerOf(path, options) {
  const answer = await fetch(path, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Failure("The server cannot be reached.");
  });
  if (!answer.ok) throw new Failure(await reason(answer), answer.status);
  return answer;
}

async function reason(answer) {
  const wait_s = answer.headers.get("retry-after");
  const again = wait_s ? ` You may try again after ${wait_s} s.` : "";
  try {
    const { message, code } = (await answer.json()).error;
    return `${message} (${[answer.status, code].filter(Boolean).join(" ")}).${again}`;
  } catch {
    const status = `${answer.status} ${answer.statusText}`.trimEnd();
    return `The server responded with ${status}.${again}`;
  }
}
