/** Short messages in the corner. Those of failures stay until they are closed. */
export type Tone = "good" | "bad" | "plain";

export interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

class Toasts {
  list = $state<Toast[]>([]);
  private next = 1;

  say(text: string, tone: Tone = "plain"): void {
    const id = this.next++;
    this.list = [...this.list.slice(-3), { id, tone, text }];
    if (tone !== "bad") window.setTimeout(() => this.close(id), 5000);
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
