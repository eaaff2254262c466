// The waveform: bars of the audio so far, brighter where it has been played.

import { PEAKS_PER_S } from "./sound.js";

const BAR_PX = 2;
const STEP_PX = 3;
const SHORTEST_S = 4; // shortest span of the canvas, so that a first word does not fill it
const EASE = 0.15; // share of the way to the new scale, per frame
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.paint = canvas.getContext("2d");
    this.show(null);
    new ResizeObserver(() => this.fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Show a sound, or an empty canvas for null. */
  show(sound) {
    this.sound = sound;
    this.played_s = 0;
    this.span_s = sound?.complete ? this.goal_s : SHORTEST_S;
    this.draw();
  }

  /** Seconds that the canvas spans when the scale has settled. */
  get goal_s() {
    return Math.max(SHORTEST_S, this.sound?.length_s ?? 0);
  }

  /** Return the time at a distance from the left edge of the canvas, in CSS pixels. */
  timeAt(left_px) {
    return (left_px / this.canvas.clientWidth) * this.span_s;
  }

  /** Draw the waveform, of which `played_s` seconds have been played. */
  draw(played_s = this.played_s) {
    this.played_s = played_s;
    this.span_s += (this.goal_s - this.span_s) * (still.matches ? 1 : EASE);
    if (Math.abs(this.goal_s - this.span_s) < 0.01) this.span_s = this.goal_s;
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

  /** True while the scale still moves. */
  get moves() {
    return this.span_s !== this.goal_s;
  }

  drawBar(bar, peak) {
    const [scale, height] = [devicePixelRatio, this.canvas.height];
    const tall = Math.max(Math.min(peak, 1) * height, BAR_PX * scale);
    this.paint.fillRect(bar * STEP_PX * scale, (height - tall) / 2, BAR_PX * scale, tall);
  }

  /** Return the peak between two times in seconds, or null if there is no audio yet. */
  peakOf(from_s, to_s) {
    const peaks = this.sound?.peaks ?? [];
    const first = Math.floor(from_s * PEAKS_PER_S);
    if (first >= peaks.length) return null;
    const last = Math.max(first + 1, Math.floor(to_s * PEAKS_PER_S));
    return peaks.slice(first, last).reduce((highest, peak) => Math.max(highest, peak), 0);
  }

  fit() {
    this.canvas.width = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.height = Math.round(this.canvas.clientHeight * devicePixelRatio);
    this.draw();
  }
}
