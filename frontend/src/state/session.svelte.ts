/** Who is here and what they may do. */
import * as api from "../api";
import { isAbort, loggedInAt, messageOf, onLoggedOut } from "../api/client";
import type { Me, Role } from "../api/types";

const RANK: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

class Session {
  me = $state.raw<Me | null>(null);
  error = $state("");
  /** The server no longer knows this session; what is on the page, typed texts too, is still here. */
  ended = $state(false);

  async load(): Promise<void> {
    const asked = performance.now();
    try {
      const me = await api.me();
      loggedInAt(asked);
      // Another person in the other tab: nothing of this one's page may linger.
      if (this.me && this.me.username !== me.username) location.reload();
      if (!this.me) onLoggedOut(() => (this.ended = true));
      this.me = me;
      this.error = "";
      this.ended = false;
    } catch (error) {
      if (!isAbort(error)) this.error = messageOf(error);
    }
  }

  /** Whether the person has at least `role` in a project. */
  may(project: string | undefined, role: Role): boolean {
    if (!this.me) return false;
    if (this.me.is_admin) return true;
    const has = this.me.projects.find((each) => each.slug === project)?.role;
    return has !== undefined && RANK[has] >= RANK[role];
  }
}

export const session = new Session();
export const roleAtLeast = (has: Role | undefined, needed: Role): boolean => has !== undefined && RANK[has] >= RANK[needed];
