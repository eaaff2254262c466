// The takes of this tab: the responses, as a list to hear, compare, download and remove.

import { elements, duration } from "./elements.js";
import { RATE_HZ } from "./receive.js";
import { Sound, join, withSizes } from "./sound.js";

const MAX_TAKES = 20;
const MAX_BYTES = 100_000_000; // of all takes
const NOTES = { waiting: "in progress", stopped: "stopped", broken: "cut off" };

/** A request, and what has arrived of its response. */
export class Take {
  /** `settings` describes the voice, speed and format for the list. */
  constructor(request, settings) {
    this.request = request;
    this.settings = settings;
    this.format = request.response_format;
    this.sound = new Sound(RATE_HZ);
    this.chunks = [];
    this.type = "";
    this.state = "waiting"; // then "complete", "stopped" or "broken"
    this.first_s = this.whole_s = null; // time to first audio, total time
  }

  get bytes() {
    return this.chunks.reduce((sum, { length }) => sum + length, this.sound.samples.byteLength);
  }

  /** Return the audio that has arrived as a file. */
  file() {
    const bytes = join(this.chunks);
    return new Blob([this.format === "wav" ? withSizes(bytes) : bytes], { type: this.type });
  }

  get facts() {
    const times = this.first_s === null ? [] : [`first audio ${duration(this.first_s)}`];
    if (this.whole_s !== null) times.push(`total ${duration(this.whole_s)}`);
    times.push(NOTES[this.state] ?? duration(this.sound.length_s));
    return [...this.settings, ...times].join(" · ");
  }
}

/** The list of takes, the latest first. `onSelect` and `onRemove` receive a take. */
export class Takes {
  constructor(onSelect, onRemove) {
    this.onSelect = onSelect;
    this.onRemove = onRemove;
    this.rows = new Map(); // by take, in the order of their requests
    this.current = null;
  }

  /** Add a take to the top of the list. */
  add(take) {
    const row = elements.take.content.firstElementChild.cloneNode(true);
    const { input } = take.request;
    row.querySelector(".words").textContent = input;
    const connect = (name, onClick, label) => {
      const button = row.querySelector(name);
      button.addEventListener("click", onClick);
      if (label) button.ariaLabel = `${label}: ${input}`;
    };
    connect(".select", () => this.onSelect(take));
    connect(".save", () => save(take), "Download");
    connect(".remove", () => this.removeRow(take, row), "Remove");
    this.rows.set(take, row);
    elements.takes.prepend(row);
    this.update(take);
  }

  /** Show the times and the state of a take, and remove the oldest takes above the limits. */
  update(take) {
    const row = this.rows.get(take);
    if (!row) return;
    row.querySelector(".facts").textContent = take.facts;
    this.limit();
    elements.history.hidden = !this.rows.size;
  }

  /** Mark the take that the player has. */
  select(take) {
    this.current = take;
    for (const [each, row] of this.rows) {
      row.querySelector(".select").ariaCurrent = each === take ? "true" : null;
    }
  }

  /** Remove a take, and move the focus to its neighbour. */
  removeRow(take, row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    this.remove(take);
    (next?.querySelector(".select") ?? elements.speak).focus();
  }

  remove(take) {
    this.rows.get(take)?.remove();
    this.rows.delete(take);
    elements.history.hidden = !this.rows.size;
    this.onRemove(take);
  }

  limit() {
    const removable = [...this.rows.keys()].filter(
      (take) => take !== this.current && take.state !== "waiting",
    );
    while (removable.length && (this.rows.size > MAX_TAKES || this.bytes > MAX_BYTES)) {
      this.remove(removable.shift());
    }
  }

  get bytes() {
    return [...this.rows.keys()].reduce((sum, take) => sum + take.bytes, 0);
  }
}

/** Download what has arrived of a take. */
export function save(take) {
  if (!take?.chunks.length) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(take.file());
  link.download = `speech.${take.format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
