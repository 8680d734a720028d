/** Brings what an address names into view, once: what comes live afterwards leaves a person where they look. */
export function bringer(): (node: HTMLElement) => void {
  let done = false;
  return (node) => {
    if (done) return;
    done = true;
    node.scrollIntoView({ block: "center" });
  };
}
