// Receive a response into a take, and decode it while it arrives where the browser can.

import { FrameDecoder, frameFormats } from "./frames.js";
import { Failure, sendJson } from "./request.js";
import { SampleReader } from "./sound.js";

/** Rate of the codecs. */
export const RATE_HZ = 24_000;
/** Formats that the page parses itself. */
export const RAW = ["wav", "pcm"];
const FRAMED = await frameFormats();
/** Formats that play while they arrive. A browser decodes the others when they are complete. */
export const STREAMED = [...RAW, ...FRAMED];

/**
 * Receive the response to a take's request. `onSamples` is called when its sound has grown.
 * Throws a Failure, an AbortError, or a TypeError if the response is cut off.
 */
export async function receive(take, signal, onSamples) {
  const started_ms = performance.now();
  const elapsed_s = () => (performance.now() - started_ms) / 1000;
  const add = (samples) => {
    if (!samples.length) return;
    take.first_s ??= elapsed_s();
    take.sound.add(samples);
    onSamples();
  };
  const response = await sendJson("v1/audio/speech", take.request, signal);
  take.type = response.headers.get("content-type");
  take.sound.rate_hz = Number(response.headers.get("x-audio-sample-rate")) || RATE_HZ;
  const decoder = decoderOf(take, add);
  const body = response.body.getReader();
  try {
    for (let read = await body.read(); !read.done; read = await body.read()) {
      take.chunks.push(read.value);
      decoder?.feed(read.value);
    }
    take.whole_s = elapsed_s();
  } finally {
    await decoder?.finish();
    if (!take.sound.length && take.chunks.length) add(await decoded(take));
  }
}

/** Return a decoder of the response while it arrives, or null if it must be complete. */
function decoderOf({ format, sound }, add) {
  if (FRAMED.includes(format)) return new FrameDecoder(format, sound.rate_hz, add);
  if (!RAW.includes(format)) return null;
  const samples = new SampleReader(format);
  return { feed: (bytes) => add(samples.feed(bytes)), finish: () => {} };
}

/** Decode the file of a take. Of a partial file, return no samples if the browser rejects it. */
async function decoded(take) {
  const context = new OfflineAudioContext(1, 1, take.sound.rate_hz);
  try {
    const bytes = await take.file().arrayBuffer();
    return (await context.decodeAudioData(bytes)).getChannelData(0);
  } catch {
    if (take.whole_s === null) return new Float32Array(0);
    const advice = "The audio is complete. Download it, or choose wav.";
    throw new Failure(`This browser cannot play ${take.format}. ${advice}`);
  }
}
