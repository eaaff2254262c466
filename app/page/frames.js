// Decode mp3 and aac while they arrive: split bytes into frames, and let the browser decode them.

import { join } from "./sound.js";

// Other formats wrap their frames in a container that needs more than a length to split.
const CODECS = { mp3: "mp3", aac: "mp4a.40.2" };
const HEADER_BYTES = 7; // of an ADTS frame, and enough of an mp3 frame
// Bit rates of layer III in kbit/s, by the index in the header: MPEG 1, then MPEG 2 and 2.5.
const KBITS = {
  full: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  low: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};
// Bytes of a frame, from its header.
const LENGTHS = { mp3: mp3Bytes, aac: adtsBytes };

/**
 * Return the formats that this browser decodes frame by frame.
 * Browsers offer no AudioDecoder to pages that come neither over https nor from localhost.
 */
export async function frameFormats() {
  if (!globalThis.AudioDecoder) return [];
  const checks = Object.entries(CODECS).map(async ([format, codec]) => {
    const config = { codec, sampleRate: 24_000, numberOfChannels: 1 };
    const { supported } = await AudioDecoder.isConfigSupported(config);
    return supported ? format : null;
  });
  return (await Promise.all(checks)).filter(Boolean);
}

/**
 * Decodes the bytes of a stream, cut anywhere, and passes the samples to `onSamples`.
 * After an error of the decoder, `onSamples` receives no more samples.
 */
export class FrameDecoder {
  constructor(format, rate_hz, onSamples) {
    this.bytesOf = LENGTHS[format];
    this.rest = new Uint8Array(0);
    this.frames = 0;
    this.decoder = new AudioDecoder({ output: (data) => onSamples(toSamples(data)), error: () => {} });
    this.decoder.configure({ codec: CODECS[format], sampleRate: rate_hz, numberOfChannels: 1 });
  }

  /** Decode the frames that these bytes complete. */
  feed(bytes) {
    this.rest = join([this.rest, bytes]);
    while (this.rest.length >= HEADER_BYTES && this.decoder.state === "configured") {
      const length = this.bytesOf(this.rest);
      // Without a valid frame, the complete response is decoded instead.
      if (!(length >= HEADER_BYTES)) return this.decoder.close();
      if (this.rest.length < length) return;
      const data = this.rest.slice(0, length);
      this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.frames, data }));
      this.frames += 1;
      this.rest = this.rest.slice(length);
    }
  }

  /** Resolve when all frames have been decoded. */
  async finish() {
    if (this.decoder.state === "configured") await this.decoder.flush().catch(() => {});
    if (this.decoder.state !== "closed") this.decoder.close();
  }
}

/** Return the bytes of an ADTS frame: 13 bits of its header. */
function adtsBytes(head) {
  return ((head[3] & 3) << 11) | (head[4] << 3) | (head[5] >> 5);
}

/** Return the bytes of a layer III frame: its header has the bit rate, sample rate and padding. */
function mp3Bytes(head) {
  const version = (head[1] >> 3) & 3; // 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
  const rate_hz = [44_100, 48_000, 32_000][(head[2] >> 2) & 3] / { 3: 1, 2: 2, 0: 4 }[version];
  const bits = 1000 * KBITS[version === 3 ? "full" : "low"][head[2] >> 4];
  return Math.floor(((version === 3 ? 144 : 72) * bits) / rate_hz) + ((head[2] >> 1) & 1);
}

function toSamples(data) {
  const samples = new Float32Array(data.numberOfFrames);
  data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
  data.close();
  return samples;
}
