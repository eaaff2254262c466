// The waveform: bars of the audio so far, brighter where it has been played.

const BINS_PER_S = 200;
const BAR_PX = 2;
const STEP_PX = 3;
const SHORTEST_S = 4; // shortest span of the canvas, so that a first word does not fill it
const EASE = 0.15; // share of the way to the new scale, per frame
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.paint = canvas.getContext("2d");
    this.clear();
    new ResizeObserver(() => this.fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Remove all samples. */
  clear() {
    this.peaks = [];
    this.length_s = this.filled = this.peak = this.played_s = 0;
    this.span_s = SHORTEST_S;
    this.draw();
  }

  /** Add samples. */
  add(samples, rate) {
    const bin = rate / BINS_PER_S;
    for (const sample of samples) {
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.filled += 1;
      if (this.filled >= bin) {
        this.peaks.push(this.peak);
        this.filled -= bin;
        this.peak = 0;
      }
    }
    this.length_s += samples.length / rate;
  }

  /** Draw the waveform, of which `played_s` seconds have been played. */
  draw(played_s = this.played_s) {
    this.played_s = played_s;
    const goal_s = Math.max(SHORTEST_S, this.length_s);
    this.span_s += (goal_s - this.span_s) * (still.matches ? 1 : EASE);
    if (Math.abs(goal_s - this.span_s) < 0.01) this.span_s = goal_s;
    const { width, height } = this.canvas;
    this.paint.clearRect(0, 0, width, height);
    const bars = Math.floor(width / devicePixelRatio / STEP_PX);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const [empty, ahead, played] = ["line", "ahead", "accent"].map(colour);
    for (let bar = 0; bar < bars; bar += 1) {
      const [from_s, to_s] = [bar, bar + 1].map((edge) => (edge / bars) * this.span_s);
      const peak = this.peakOf(from_s, to_s);
      this.paint.fillStyle = peak === null ? empty : from_s < this.played_s ? played : ahead;
      this.drawBar(bar, peak ?? 0);
    }
  }

  drawBar(bar, peak) {
    const [scale, height] = [devicePixelRatio, this.canvas.height];
    const tall = Math.max(Math.min(peak, 1) * height, BAR_PX * scale);
    this.paint.fillRect(bar * STEP_PX * scale, (height - tall) / 2, BAR_PX * scale, tall);
  }

  /** Return the peak between two times in seconds, or null if there is no audio yet. */
  peakOf(from_s, to_s) {
    const first = Math.floor(from_s * BINS_PER_S);
    if (first >= this.peaks.length) return null;
    const last = Math.max(first + 1, Math.floor(to_s * BINS_PER_S));
    return this.peaks.slice(first, last).reduce((highest, peak) => Math.max(highest, peak), 0);
  }

  fit() {
    this.canvas.width = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    this.draw();
  }
}
