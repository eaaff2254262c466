// An answer of the server, or the reason why there is none, in words for a reader.

/** A failure whose message is meant to be read; `status` is the answer's, where there was one. */
export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** A successful answer; throws a Failure with the server's own words, or the AbortError of a signal. */
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
    return `The server answered ${answer.status} ${answer.statusText}`.trimEnd() + `.${again}`;
  }
}
