// Play a Sound while it grows: schedule its samples without gaps, pause and seek.

// Delay between the first samples and their playback, by which later chunks may be late.
const LEAD_S = 0.1;
const COMPLETE_LEAD_S = 0.02; // of a sound that is complete

/** Plays one Sound at a time. `onChange` is called when it plays, pauses or reaches the end. */
export class Player {
  constructor(onChange = () => {}) {
    this.onChange = onChange;
    this.sound = null;
    this.context = null;
    this.volume = 1;
    this.playing = false;
    this.ended = false;
    this.gaps = 0; // times that playback ran out of samples
    this.changed = null; // resolves when the clock runs or stands as it was last set
    this.nodes = new Set(); // scheduled and not yet played
    this.scheduled = 0; // index of the first sample that is not scheduled
    this.position = 0; // index of the sample that is heard
    this.origin = null; // the context's frame of sample 0, moved by each gap and seek
  }

  /** Open an AudioContext within a click, because Safari does not play contexts opened later. */
  open(rate_hz) {
    if (this.context?.sampleRate === rate_hz) return;
    this.context?.close();
    this.use(new AudioContext({ sampleRate: rate_hz }));
    this.changed = this.context.resume();
  }

  use(context) {
    this.context = context;
    this.changed = Promise.resolve();
    this.output = new GainNode(context, { gain: this.volume });
    this.output.connect(context.destination);
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.output) this.output.gain.value = volume;
  }

  /** Replace the sound, and start at its beginning if `playing`. */
  load(sound, playing = true) {
    this.sound = sound;
    this.gaps = 0;
    this.playing = false;
    this.seek(0);
    if (playing) this.play();
    else this.pause();
  }

  /** Continue, or start again from the beginning after the end. */
  play() {
    if (!this.sound) return;
    if (this.ended) this.seek(0);
    this.open(this.sound.rate_hz);
    this.playing = true;
    this.setClock();
    this.update();
    this.onChange();
  }

  /** Stop the clock. What is scheduled stays scheduled. */
  pause() {
    this.playing = false;
    if (this.context) this.setClock();
    this.onChange();
  }

  /** Run or stop the context's clock. In Chromium it stalls if one change overlaps another. */
  setClock() {
    const { context } = this;
    const change = () => (this.playing ? context.resume() : context.suspend());
    this.changed = this.changed.then(change).catch(() => {}); // the context has been closed
  }

  /** Go to a time, or to the end of the samples that have arrived. */
  seek(to_s) {
    for (const node of this.nodes) {
      node.onended = null;
      node.stop();
    }
    this.nodes.clear();
    const { length, rate_hz } = this.sound;
    this.scheduled = Math.max(0, Math.min(Math.round(to_s * rate_hz), length));
    this.position = this.scheduled;
    this.origin = null;
    this.ended = false;
    this.update();
  }

  /** Schedule the samples that were added to the sound. */
  update() {
    if (!this.playing) return;
    const samples = this.sound.from(this.scheduled);
    if (samples.length) this.schedule(samples);
    else if (this.sound.complete && !this.nodes.size) this.end();
  }

  /** Schedule samples after the earlier ones, or a lead from now if those have already ended. */
  schedule(samples) {
    this.open(this.sound.rate_hz);
    const rate_hz = this.context.sampleRate;
    const now = Math.ceil(this.context.currentTime * rate_hz);
    const late = this.origin !== null && this.origin + this.scheduled < now;
    if (late) this.gaps += 1;
    if (late || this.origin === null) {
      const lead_s = this.sound.complete ? COMPLETE_LEAD_S : LEAD_S;
      this.origin = now + Math.round(lead_s * rate_hz) - this.scheduled;
    }
    const buffer = this.context.createBuffer(1, samples.length, rate_hz);
    buffer.copyToChannel(samples, 0);
    const node = new AudioBufferSourceNode(this.context, { buffer });
    node.connect(this.output);
    node.start((this.origin + this.scheduled) / rate_hz);
    node.onended = () => {
      this.nodes.delete(node);
      this.update();
    };
    this.nodes.add(node);
    this.scheduled += samples.length;
  }

  end() {
    this.ended = true;
    this.position = this.sound.length;
    this.origin = null;
    this.pause();
  }

  /** Seconds of the sound that are heard at this moment. */
  get position_s() {
    if (!this.sound) return 0;
    if (this.origin !== null) {
      const { currentTime, outputLatency = 0, sampleRate } = this.context;
      const heard = (currentTime - outputLatency) * sampleRate - this.origin;
      // The maximum keeps it monotonic: the latency is an estimate, and a gap moves the origin.
      this.position = Math.max(this.position, Math.min(heard, this.scheduled));
    }
    return this.position / this.sound.rate_hz;
  }
}
