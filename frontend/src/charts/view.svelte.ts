/** How the charts of a page are looked at; kept in this browser. */
import type { XAxis } from "../lib/columns";
import { readStored, writeStored } from "../state/stored";

interface Kept {
  smoothing: number;
  log: boolean;
  robust: boolean;
  x: XAxis;
}

export class View {
  smoothing = $state(0);
  log = $state(false);
  robust = $state(false);
  x = $state<XAxis>("step");

  constructor(private name: string) {
    Object.assign(this, readStored<Partial<Kept>>(`view.${name}`, {}));
  }

  change(changes: Partial<Kept>): void {
    Object.assign(this, changes);
    const { smoothing, log, robust, x } = this;
    writeStored(`view.${this.name}`, { smoothing, log, robust, x });
  }
}
