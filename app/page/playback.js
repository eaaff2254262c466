// Playback of the selected take: the waveform with its position, the buttons and the volume.

import { clock, duration, elements, enable } from "./elements.js";
import { Player } from "./player.js";
import { recall, remember } from "./storage.js";
import { save } from "./takes.js";
import { Waveform } from "./waveform.js";

const VOLUME = "speech-server-volume"; // name in localStorage
// Seconds by which keys move the position.
const BACK_S = { ArrowLeft: -1, ArrowDown: -1, PageDown: -5 };
const STEPS_S = { ...BACK_S, ArrowRight: 1, ArrowUp: 1, PageUp: 5 };

export const player = new Player(onChange);
export const waveform = new Waveform(elements.wave);
let take = null;
let drawing = false;
let dragged_s = null; // position under the pointer
let onState = () => {};

/** Select a take and play it. */
export function play(selected) {
  take = selected;
  waveform.show(take.sound);
  player.load(take.sound);
  draw();
}

/** Show no take. */
export function clear() {
  take = null;
  player.pause();
  waveform.show(null);
  player.sound = null;
  setStatus("");
  showFigures();
}

/** Play the samples that were added to a take, and show its figures, if it is selected. */
export function update(changed) {
  if (changed !== take) return;
  player.update();
  showFigures();
  if (player.playing) onChange(); // from waiting to playing
  onState();
  draw();
}

/** Set the text of the live region. */
export function setStatus(text) {
  if (elements.status.textContent !== text) elements.status.textContent = text;
}

function onChange() {
  const { playing, ended, sound } = player;
  const action = playing ? "Pause" : ended ? "Replay" : "Play";
  elements.play.textContent = sound?.length ? action : "Play";
  if (take) setStatus(playing ? progress() : ended ? summary() : "Paused");
  onState();
  draw();
}

function progress() {
  return player.sound.length ? "Playing" : "Waiting for audio";
}

function summary() {
  if (!player.sound.length) return "";
  const gaps = player.gaps === 1 ? "1 gap" : `${player.gaps} gaps`;
  return player.gaps ? `Done, with ${gaps} in the audio` : "Done";
}

function showFigures() {
  const show = (element, value_s) => {
    element.textContent = value_s ? duration(value_s) : "–";
  };
  show(elements.first, take?.first_s);
  show(elements.whole, take?.whole_s);
  show(elements.length, take?.sound.length_s);
  enable(elements.play, take?.sound.length);
  enable(elements.download, take?.chunks.length);
}

/** Draw in every frame while something moves. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    showPosition();
    if (player.playing || waveform.moves) draw();
  });
}

function showPosition() {
  const [position_s, length_s] = [dragged_s ?? player.position_s, take?.sound.length_s ?? 0];
  waveform.draw(position_s);
  elements.time.textContent = `${clock(position_s)} / ${clock(length_s)}`;
  elements.wave.ariaValueMax = String(Math.round(length_s));
  elements.wave.ariaValueNow = String(Math.round(position_s));
  elements.wave.ariaValueText = `${Math.round(position_s)} of ${Math.round(length_s)} seconds`;
}

function seek(to_s) {
  if (!player.sound) return;
  player.seek(to_s);
  onChange();
}

function toggle() {
  if (!player.sound?.length) return;
  if (player.playing) player.pause();
  else player.play();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key } = event;
  if (key in STEPS_S) seek(player.position_s + STEPS_S[key]);
  else if (key === "Home") seek(0);
  else if (key === "End") seek(Infinity);
  else if (key === " " || key === "Enter") toggle();
  else return;
  event.preventDefault();
}

function drag(event) {
  if (!player.sound?.length) return;
  const left_px = event.clientX - elements.wave.getBoundingClientRect().left;
  dragged_s = Math.max(0, Math.min(waveform.timeAt(left_px), player.sound.length_s));
  draw();
}

function drop() {
  if (dragged_s !== null) seek(dragged_s);
  dragged_s = null;
}

/** Connect the controls. `callback` is called when the player starts, pauses or ends. */
export function connectPlayback(callback) {
  onState = callback;
  const { wave, volume } = elements;
  wave.addEventListener("keydown", onKey);
  wave.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    wave.setPointerCapture(event.pointerId);
    drag(event);
  });
  wave.addEventListener("pointermove", (event) => {
    if (dragged_s !== null) drag(event);
  });
  wave.addEventListener("pointerup", drop);
  wave.addEventListener("pointercancel", () => {
    dragged_s = null;
    draw();
  });
  elements.play.addEventListener("click", toggle);
  elements.download.addEventListener("click", () => save(take));
  volume.value = recall("localStorage", VOLUME) ?? 1;
  player.setVolume(Number(volume.value));
  volume.addEventListener("input", () => {
    player.setVolume(Number(volume.value));
    remember("localStorage", VOLUME, volume.value);
  });
  showFigures();
}
