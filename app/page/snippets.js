// The request as a program: curl, Python with OpenAI's SDK, and JavaScript with fetch.

// Fields of the speech route that OpenAI's SDK knows; the others are its `extra_body`.
const SDK_FIELDS = ["model", "voice", "input", "response_format", "speed"];

/**
 * Return the program for a request. `base` is the URL of the server. With `key` the program reads
 * an API key from the environment.
 */
export const SNIPPETS = {
  /** Return the curl command for a shell, with single quotes escaped. */
  curl(request, base, key) {
    const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
    const lines = [
      `curl '${new URL("v1/audio/speech", base)}'`,
      `-H 'Content-Type: application/json'`,
      ...(key ? [`-H "Authorization: Bearer $API_KEY"`] : []),
      `--output speech.${request.response_format}`,
      `-d '${body}'`,
    ];
    return lines.join(" \\\n  ");
  },

  python(request, base, key) {
    const known = Object.entries(request).filter(([name]) => SDK_FIELDS.includes(name));
    const extra = Object.entries(request).filter(([name]) => !SDK_FIELDS.includes(name));
    const named = known.map(([name, value]) => `    ${name}=${pythonOf(value)},\n`);
    if (extra.length) named.push(`    extra_body=${pythonOf(Object.fromEntries(extra))},\n`);
    const secret = key ? 'os.environ["API_KEY"]' : '"unused"';
    return [
      key ? "import os\n\n" : "",
      "from openai import OpenAI\n\n",
      `client = OpenAI(base_url="${new URL("v1", base)}", api_key=${secret})\n`,
      "with client.audio.speech.with_streaming_response.create(\n",
      ...named,
      ") as response:\n",
      `    response.stream_to_file("speech.${request.response_format}")`,
    ].join("");
  },

  javascript(request, base, key) {
    const body = JSON.stringify(request, null, 2).replaceAll("\n", "\n  ");
    return [
      `const response = await fetch("${new URL("v1/audio/speech", base)}", {`,
      '  method: "POST",',
      "  headers: {",
      '    "Content-Type": "application/json",',
      ...(key ? ["    Authorization: `Bearer ${process.env.API_KEY}`,"] : []),
      "  },",
      `  body: JSON.stringify(${body}),`,
      "});",
      "if (!response.ok) throw new Error(await response.text());",
      "const audio = await response.blob();",
    ].join("\n");
  },
};

/** Return a JSON value as a Python literal. The strings of JSON are strings of Python, too. */
function pythonOf(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const items = Object.entries(value).map(([name, item]) => `"${name}": ${pythonOf(item)}`);
  return `{${items.join(", ")}}`;
}
