import { toHex } from "@cloister/encoding";
import type { SealedSession } from "@cloister/encoding/sealed-records";
import { ReplayWindow } from "./replay-window.ts";

export interface OpenSession {
  readonly session: SealedSession;
  readonly window: ReplayWindow;
}

/** Sessions by name, for a limited time and number: anybody can open some. The oldest goes first. */
export class SessionTable {
  readonly #sessions = new Map<string, OpenSession & { readonly endsAt: number }>();
  readonly #maxSessions: number;
  readonly #lifetimeMs: number;

  constructor(maxSessions: number, lifetimeMs: number) {
    this.#maxSessions = maxSessions;
    this.#lifetimeMs = lifetimeMs;
  }

  add(session: SealedSession, now = performance.now()): void {
    if (this.#sessions.size >= this.#maxSessions) {
      const [oldest] = this.#sessions.keys();
      if (oldest !== undefined) this.#sessions.delete(oldest);
    }
    this.#sessions.set(toHex(session.id), { session, window: new ReplayWindow(), endsAt: now + this.#lifetimeMs });
  }

  find(id: Uint8Array, now = performance.now()): OpenSession | undefined {
    const found = this.#sessions.get(toHex(id));
    if (found === undefined || found.endsAt > now) return found;
    this.#sessions.delete(toHex(id));
    return undefined;
  }
}
