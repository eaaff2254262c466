// OpenAI's Node SDK speaks. Run where it is installed, line by line.
import { createInterface } from "node:readline";
import OpenAI from "openai";

async function speak(asked) {
  const client = new OpenAI({ baseURL: asked.url, apiKey: asked.key });
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
    if (asked.action === "leave") break; // the iterator's end cancels the request
  }
  return { audio: Buffer.concat(chunks).toString("base64"), chunks: chunks.length };
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await speak(JSON.parse(line)).catch((error) => ({
    error: error.constructor.name,
    message: String(error.message),
  }));
  console.log(JSON.stringify(said));
}
