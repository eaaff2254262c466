// Values that survive a reload. A browser may refuse the access to its storage.

/** Return a stored value, or null. `area` is "localStorage" or "sessionStorage". */
export function recall(area, name) {
  try {
    return globalThis[area].getItem(name);
  } catch {
    return null;
  }
}

/** Store a string if the browser allows it. */
export function remember(area, name, value) {
  try {
    globalThis[area].setItem(name, value);
  } catch {
    // The page works without storage, until it is reloaded.
  }
}
