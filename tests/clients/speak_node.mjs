// OpenAI's Node SDK speaks. Run where it is installed, with one JSON object as its argument.
import OpenAI from "openai";

const asked = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL: asked.url, apiKey: asked.key });

async function main() {
  const answer = await client.audio.speech.create({
    model: asked.model ?? "gpt-4o-mini-tts",
    voice: asked.voice ?? "coral",
    input: asked.text,
  });
  if (asked.action === "whole") {
    return { audio: Buffer.from(await answer.arrayBuffer()).toString("base64") };
  }
  const chunks = [];
  for await (const chunk of answer.body) {
    chunks.push(chunk);
    if (asked.action === "leave") break;  // the iterator's end cancels the request
  }
  return { audio: Buffer.concat(chunks).toString("base64"), chunks: chunks.length };
}

main()
  .catch((error) => ({ error: error.constructor.name, message: String(error.message), code: error.code }))
  .then((said) => console.log(JSON.stringify(said)));
