/** The present, once a second, for texts such as "12 s ago". One timer for the whole page. */
import { aheadSeconds, serverNow } from "../lib/skew";

class Clock {
  /** The server's time, in milliseconds since the epoch: what it wrote is told from this. */
  now = $state(serverNow());
  /** This computer's, for lengths of time that were seen here. */
  local = $state(Date.now());
  /** How many seconds this computer's clock is ahead of the server's. */
  ahead = $state(0);

  constructor() {
    window.setInterval(() => {
      if (!document.hidden) this.read();
    }, 1000);
    document.addEventListener("visibilitychange", () => this.read());
  }

  private read(): void {
    this.now = serverNow();
    this.local = Date.now();
    this.ahead = aheadSeconds();
  }
}

export const clock = new Clock();
