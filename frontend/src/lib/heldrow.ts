/** The focus in a table whose rows are elements that show one thing after another: it is on the thing, not on a place. */
export class HeldRow {
  private held: { row: HTMLElement; key: string } | null = null;

  /** `keyAt`: what the line with this number shows now. */
  constructor(private keyAt: (line: number) => string) {}

  take = ({ target }: FocusEvent): void => {
    const row = (target as HTMLElement).closest<HTMLElement>("tr[data-line]");
    this.held = row && { row, key: this.keyOf(row) };
  };

  /** The rows have changed: a key must not do to what came what was meant for what went. */
  changed(): void {
    const now = document.activeElement;
    if (this.held && now instanceof HTMLElement && this.held.row.contains(now) && this.keyOf(this.held.row) !== this.held.key) now.blur();
  }

  private keyOf = (row: HTMLElement): string => this.keyAt(Number(row.dataset.line));
}
