/** What is chosen in a table, with the ranges that shift-click makes. Values, never changed in place. */
export interface Selection {
  chosen: ReadonlySet<string>;
  anchor: string | null;
}

export const nothing: Selection = { chosen: new Set(), anchor: null };

/** One click on a row: toggles it; with shift, gives every row from the anchor to it the row's new state. */
export function click(selection: Selection, id: string, order: string[], shift: boolean): Selection {
  const chosen = new Set(selection.chosen);
  const choose = !chosen.has(id);
  const [from, to] = [selection.anchor === null ? -1 : order.indexOf(selection.anchor), order.indexOf(id)];
  const ids = shift && from >= 0 && to >= 0 ? order.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
  for (const each of ids) {
    if (choose) chosen.add(each);
    else chosen.delete(each);
  }
  return { chosen, anchor: id };
}

export function setAll(selection: Selection, ids: string[], choose: boolean): Selection {
  const chosen = new Set(selection.chosen);
  for (const id of ids) {
    if (choose) chosen.add(id);
    else chosen.delete(id);
  }
  return { chosen, anchor: null };
}
