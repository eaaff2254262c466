// Elements of the page, its error messages, and numbers as text.

const withId = [...document.querySelectorAll("[id]")];
/** Elements by their id. */
export const elements = Object.fromEntries(withId.map((element) => [element.id, element]));

/** Show an error beside a control, which is described by `NAME-error`. */
export function showError(name, message) {
  const note = elements[`${name}-error`];
  for (let part = note; part; part = part.parentElement) {
    if (part.localName === "details") part.open = true;
  }
  note.textContent = message;
  if (elements[name].matches("input, select, textarea")) elements[name].ariaInvalid = "true";
  note.scrollIntoView({ block: "nearest" });
}

/** Remove the error beside a control. */
export function clearError(name) {
  elements[`${name}-error`].textContent = "";
  elements[name].ariaInvalid = null;
}

/** Remove the errors beside all controls within an element. */
export function clearErrors(part) {
  for (const note of part.querySelectorAll(".error")) clearError(note.id.replace("-error", ""));
}

/** Set a button's appearance and its state for screen readers. It always keeps the focus. */
export function enable(button, enabled) {
  button.ariaDisabled = String(!enabled);
}

/** Return seconds as text with their unit. */
export function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
}

/** Return seconds as minutes and seconds. */
export function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return `${Math.floor(tenths / 600)}:${rest}`;
}
