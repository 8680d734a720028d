/** Output of a process as plain text: escape codes out, rewritten lines as they ended. */

// CSI, OSC (ended by BEL or ST) and two-byte escapes; then the control characters that mean nothing on a page.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** What a terminal would show on this line after its carriage returns and backspaces took effect. */
export function plain(text: string): string {
  const bare = text.replace(ESCAPES, "");
  return (bare.includes("\r") ? rewritten(bare) : bare).replace(CONTROLS, "");
}

function rewritten(text: string): string {
  let line = "";
  for (const piece of text.replace(/\r+$/, "").split("\r")) line = piece + line.slice(piece.length);
  return line;
}

/** Whether the line is a step of a progress bar, which the next such line replaces on a terminal. */
export const isProgress = (text: string): boolean => text.includes("\r");
