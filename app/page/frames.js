// mp3 and aac as they come: bytes into frames, and frames into samples with the browser's own decoder.

import { join } from "./sound.js";

const CODECS = { mp3: "mp3", aac: "mp4a.40.2" }; // the others' frames are wrapped in more than a length
const HEADER_BYTES = 7;
const KBITS = {
  full: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  low: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
const LENGTHS = { mp3: mp3Bytes, aac: (head) => ((head[3] & 3) << 11) | (head[4] << 3) | (head[5] >> 5) };

/** The formats that this browser decodes frame by frame: none where the page came neither by https nor from localhost. */
export async function framed() {
  if (!globalThis.AudioDecoder) return [];
  const asked = Object.entries(CODECS).map(async ([format, codec]) => {
    const { supported } = await AudioDecoder.isConfigSupported({ codec, sampleRate: 24_000, numberOfChannels: 1 });
    return supported ? format : null;
  });
  return (await Promise.all(asked)).filter(Boolean);
}

/** Bytes of a stream, cut anywhere, into samples, which `hear` gets; after an error of the decoder it gets no more. */
export class FrameDecoder {
  constructor(format, rate_hz, hear) {
    this.bytesOf = LENGTHS[format];
    this.rest = new Uint8Array(0);
    this.frames = 0;
    this.decoder = new AudioDecoder({ output: (sound) => hear(toSamples(sound)), error: () => {} });
    this.decoder.configure({ codec: CODECS[format], sampleRate: rate_hz, numberOfChannels: 1 });
  }

  /** Decode the frames that these bytes complete. */
  feed(bytes) {
    this.rest = join([this.rest, bytes]);
    while (this.rest.length >= HEADER_BYTES && this.decoder.state === "configured") {
      const length = this.bytesOf(this.rest);
      if (!(length >= HEADER_BYTES)) return this.decoder.close(); // no frame: the answer is decoded as a whole
      if (this.rest.length < length) return;
      const data = this.rest.slice(0, length);
      this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.frames, data }));
      this.frames += 1;
      this.rest = this.rest.slice(length);
    }
  }

  /** Resolves when all has been decoded. */
  async finish() {
    if (this.decoder.state === "configured") await this.decoder.flush().catch(() => {});
    if (this.decoder.state !== "closed") this.decoder.close();
  }
}

/** A frame of layer III: its header tells the bit rate, the rate and one byte of padding. */
function mp3Bytes(head) {
  const version = (head[1] >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  const rate_hz = [44_100, 48_000, 32_000][(head[2] >> 2) & 3] / { 3: 1, 2: 2, 0: 4 }[version];
  const bits = 1000 * KBITS[version === 3 ? "full" : "low"][head[2] >> 4];
  return Math.floor(((version === 3 ? 144 : 72) * bits) / rate_hz) + ((head[2] >> 1) & 1);
}

function toSamples(sound) {
  const samples = new Float32Array(sound.numberOfFrames);
  sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
  sound.close();
  return samples;
}
