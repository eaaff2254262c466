// Previews of voices and recordings: one at a time, each with a button that starts and stops it.

import { player } from "./playback.js";
import { Player } from "./player.js";
import { RATE_HZ } from "./receive.js";
import { Sound } from "./sound.js";

/** The player of the previews, apart from that of the takes. */
export const previewPlayer = new Player(onChange);
let active = null; // the button of the preview

/**
 * Start or stop the preview of a button, and pause the take. `load` returns encoded audio as an
 * ArrayBuffer, and what it throws is thrown here.
 */
export async function togglePreview(button, load) {
  const other = active !== button;
  stopPreview();
  if (!other) return;
  if (player.playing) player.pause();
  active = button;
  button.textContent = "Stop";
  previewPlayer.open(RATE_HZ);
  try {
    const decoded = await previewPlayer.context.decodeAudioData(await load());
    const sound = new Sound(RATE_HZ);
    sound.add(decoded.getChannelData(0));
    sound.finish();
    if (active === button) previewPlayer.load(sound);
  } catch (error) {
    if (active === button) stopPreview();
    throw error;
  }
}

/** Stop the preview that plays. */
export function stopPreview() {
  if (!active) return;
  active.textContent = "Listen";
  active = null;
  previewPlayer.pause();
}

function onChange() {
  if (previewPlayer.ended) stopPreview();
}
