/** What waits for the person's answer, kept up to date over its topic: for the bell, the home page, and wherever else. */
import * as api from "../api";
import type { Notice } from "../api/types";
import { subscribe } from "../live/live.svelte";
import { Resource } from "./resource.svelte";

export const keyOfNotice = ({ kind, id }: Pick<Notice, "kind" | "id">): string => `${kind}:${id}`;

class Notices {
  /** Those that were answered on this page: they come and go by the person's own doing. */
  readonly mine = new Set<string>();
  readonly list = new Resource<Notice[]>((signal) => api.notices(signal));
  private watchers = 0;
  private unsubscribe: (() => void) | null = null;

  /** Watch while something shows them; the returned function stops. */
  watch(): () => void {
    if (!this.watchers++) {
      void this.list.load();
      this.unsubscribe = subscribe("notices", { frame: () => this.list.soon(), refresh: () => void this.list.load() });
    }
    return () => {
      if (--this.watchers) return;
      this.unsubscribe?.();
      this.list.stop();
    };
  }

  /** Answered here: it leaves at once, and the list is read again. */
  answered(notice: Pick<Notice, "kind" | "id">): void {
    this.mine.add(keyOfNotice(notice));
    this.list.data = this.list.data?.filter((each) => each.kind !== notice.kind || each.id !== notice.id);
    this.list.soon();
  }
}

export const notices = new Notices();
