/** Small choices kept in this browser. Where storage is forbidden they last as long as the page. */
export function readStored<T>(name: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(`scaleweb.${name}`);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

export function writeStored(name: string, value: unknown): void {
  try {
    localStorage.setItem(`scaleweb.${name}`, JSON.stringify(value));
  } catch {
    // Full or forbidden: the choice simply is not kept.
  }
}
