// Samples of a response: parsed from wav and pcm while they arrive, and kept for playback.

/** Peaks of a Sound per second of audio. */
export const PEAKS_PER_S = 200;

/** Mono samples in [-1, 1], which grow while the response arrives, and their peaks. */
export class Sound {
  constructor(rate_hz) {
    this.rate_hz = rate_hz; // may change until the first samples
    this.length = 0;
    this.complete = false;
    this.peaks = [];
    this.samples = new Float32Array(0); // with room for more than `length`
    this.peak = 0;
    this.counted = 0; // samples of the next peak
  }

  get length_s() {
    return this.length / this.rate_hz;
  }

  /** Add samples to the end. */
  add(samples) {
    const length = this.length + samples.length;
    if (length > this.samples.length) {
      const room = new Float32Array(Math.max(length, 2 * this.samples.length));
      room.set(this.samples.subarray(0, this.length));
      this.samples = room;
    }
    this.samples.set(samples, this.length);
    this.length = length;
    this.addPeaks(samples);
  }

  addPeaks(samples) {
    const size = this.rate_hz / PEAKS_PER_S;
    for (const sample of samples) {
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.counted += 1;
      if (this.counted >= size) {
        this.peaks.push(this.peak);
        this.counted -= size;
        this.peak = 0;
      }
    }
  }

  /** Return the samples from an index on. */
  from(index) {
    return this.samples.subarray(index, this.length);
  }

  /** Declare that no more samples follow, and release the room for them. */
  finish() {
    this.samples = this.samples.slice(0, this.length);
    this.complete = true;
  }
}

/** Parses a stream of 16-bit mono little-endian PCM into samples in [-1, 1]. Skips a WAV header. */
export class SampleReader {
  constructor(format) {
    this.inHeader = format === "wav";
    this.rest = new Uint8Array(0);
  }

  /** Return the samples that these bytes complete. Half a sample is kept for the next call. */
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

/** Return the offset of the first sample in a WAV file, or null if the header is incomplete. */
export function soundStart(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length; at += 8 + view.getUint32(at + 4, true)) {
    if (view.getUint32(at) === 0x64617461) return at + 8; // "data"
  }
  return null;
}

/** Set the sizes in a streamed WAV, which the server did not know when it sent the header. */
export function withSizes(bytes) {
  const sized = bytes.slice();
  const view = new DataView(sized.buffer);
  const start = soundStart(sized);
  if (start === null) return sized; // stopped within the header
  view.setUint32(4, sized.length - 8, true);
  view.setUint32(start - 4, sized.length - start, true);
  return sized;
}

/** Concatenate byte arrays. */
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
  const sample = (_, index) => view.getInt16(2 * index, true) / 32768;
  return Float32Array.from({ length: bytes.length / 2 }, sample);
}
