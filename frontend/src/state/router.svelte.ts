/** Where the person is. Plain links work; this only spares them the reload. */
import { isOurs, parseRoute, withQuery, type Route } from "../lib/route";

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  route: Route = $derived(parseRoute(this.path, this.search));
  /** The element that has the focus after a change of page. */
  private offsets = new Map<string, number>();

  start(): void {
    history.scrollRestoration = "manual";
    window.addEventListener("popstate", () => {
      this.read();
      const offset = this.offsets.get(location.href) ?? 0;
      requestAnimationFrame(() => requestAnimationFrame(() => window.scrollTo(0, offset)));
    });
    document.addEventListener("click", (event) => this.clicked(event));
  }

  /** Go to one of our addresses; others are left to the browser. */
  go(url: string, options: { replace?: boolean; keepScroll?: boolean } = {}): void {
    const target = new URL(url, location.href);
    if (target.origin !== location.origin || !isOurs(target.pathname)) {
      location.assign(url);
      return;
    }
    this.offsets.set(location.href, window.scrollY);
    const samePage = target.pathname === this.path;
    history[options.replace ? "replaceState" : "pushState"](null, "", target);
    this.read();
    if (!samePage && !options.keepScroll) window.scrollTo(0, 0);
  }

  /** Change query parameters of this page; "" or null takes one out. */
  query(changes: Record<string, string | null>, replace = true): void {
    this.go(withQuery(this.path, this.route.query, changes), { replace, keepScroll: true });
  }

  private read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  private clicked(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a[href]");
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !isOurs(url.pathname)) return;
    if (url.hash && url.pathname === location.pathname) return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const router = new Router();
