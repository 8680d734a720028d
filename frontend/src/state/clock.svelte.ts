/** The present, once a second, for texts such as "12 s ago". One timer for the whole page. */
class Clock {
  now = $state(Date.now());

  constructor() {
    window.setInterval(() => {
      if (!document.hidden) this.now = Date.now();
    }, 1000);
    document.addEventListener("visibilitychange", () => (this.now = Date.now()));
  }
}

export const clock = new Clock();
