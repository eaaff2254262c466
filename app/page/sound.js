// Play wav and pcm while they arrive: parse samples and schedule them without gaps.

// Delay between the first samples and their playback, by which later chunks may be late.
const LEAD_S = 0.1;

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

/** Plays samples on an AudioContext of the same rate, each chunk at the end of the last one. */
export class Player {
  constructor(context) {
    this.context = context;
    this.scheduled = 0; // samples
    this.gaps = 0; // times that playback ran out of samples
    this.origin = 0; // the context's frame of the first sample, moved by each gap
    this.played = 0;
    this.last = null;
  }

  /** Schedule samples after the earlier ones, or LEAD_S from now if those have already ended. */
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

  /** Seconds of audio that have been played. */
  get played_s() {
    const { currentTime, outputLatency = 0, sampleRate } = this.context;
    const now = (currentTime - outputLatency) * sampleRate;
    const played = Math.min(now - this.origin, this.scheduled);
    // The maximum keeps it monotonic: the latency is an estimate, and a gap moves the origin.
    this.played = Math.max(this.played, played);
    return this.played / sampleRate;
  }

  /** Resolve when all samples so far have been played. */
  ended() {
    return new Promise((resolve) => {
      if (this.last) this.last.onended = resolve;
      else resolve();
    });
  }
}
