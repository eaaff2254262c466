// Sound as it comes: bytes of wav or pcm into samples, and samples onto a clock without a seam.

const LEAD_S = 0.1; // from the first samples to their start: pieces may come that much late without a gap

/** Bytes of a stream (16 bit, mono, little-endian; a WAV header is read over) into samples within [-1, 1]. */
export class SampleReader {
  constructor(format) {
    this.inHeader = format === "wav";
    this.rest = new Uint8Array(0);
  }

  /** The samples that these bytes complete; half a sample waits for its other half. */
  feed(bytes) {
    let all = join([this.rest, bytes]);
    if (this.inHeader) {
      const start = soundStart(all);
      this.inHeader = start === null;
      all = this.inHeader ? all : all.slice(start);
    }
    const whole = this.inHeader ? 0 : all.length - (all.length % 2);
    this.rest = all.slice(whole);
    return toSamples(all.slice(0, whole));
  }
}

/** The offset of the first sample in a WAV file, or null while the header is not complete. */
export function soundStart(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length; at += 8 + view.getUint32(at + 4, true)) {
    if (view.getUint32(at) === 0x64617461) return at + 8; // "data"
  }
  return null;
}

/** A streamed WAV with its sizes, which the server could not know when it sent the header. */
export function withSizes(bytes) {
  const sized = bytes.slice();
  const view = new DataView(sized.buffer);
  const start = soundStart(sized);
  view.setUint32(4, sized.length - 8, true);
  view.setUint32(start - 4, sized.length - start, true);
  return sized;
}

/** Byte arrays, one after the other. */
export function join(parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function toSamples(bytes) {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, index) => view.getInt16(2 * index, true) / 32768);
}

/** Plays samples on an AudioContext of the same rate, each piece at the frame at which the last one ends. */
export class Player {
  constructor(context) {
    this.context = context;
    this.scheduled = 0; // samples
    this.gaps = 0; // times that the sound had run out before more came
    this.origin = 0; // the context's frame at which the first sample would stand, had there been no gap
    this.heard = 0;
    this.last = null;
  }

  /** Schedule samples to follow what is scheduled; where that has already ended, to start in a moment. */
  feed(samples) {
    if (!samples.length) return;
    const rate = this.context.sampleRate;
    const now = Math.ceil(this.context.currentTime * rate);
    if (!this.scheduled || this.origin + this.scheduled < now) {
      this.gaps += this.scheduled ? 1 : 0;
      this.origin = now + Math.round(LEAD_S * rate) - this.scheduled;
    }
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    this.last = new AudioBufferSourceNode(this.context, { buffer });
    this.last.connect(this.context.destination);
    this.last.start((this.origin + this.scheduled) / rate);
    this.scheduled += samples.length;
  }

  /** Seconds of the sound that have been heard. */
  get heard_s() {
    const { currentTime, outputLatency = 0, sampleRate } = this.context;
    const heard = Math.min((currentTime - outputLatency) * sampleRate - this.origin, this.scheduled);
    this.heard = Math.max(this.heard, heard); // the latency is an estimate, and a gap moves the origin
    return this.heard / sampleRate;
  }

  /** Resolves when everything fed so far has been played. */
  ended() {
    return new Promise((resolve) => {
      if (this.last) this.last.onended = resolve;
      else resolve();
    });
  }
}
