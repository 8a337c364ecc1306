import { connect, type Socket } from "node:net";
import type { Backend } from "./gateway.ts";

/** Counts open connections per backend and dials the one with the fewest. */
export class BackendPool {
  readonly #open = new Map<string, number>();
  #turn = 0;

  /** A connection to one of the backends, or `undefined` where none takes it in time. */
  async dial(
    backends: readonly Backend[],
    timeoutMs: number,
  ): Promise<{ readonly socket: Socket; readonly backend: Backend } | undefined> {
    for (const backend of this.#inOrder(backends)) {
      const release = this.#opened(backend);
      const socket = await dial(backend, timeoutMs);
      if (socket !== undefined) {
        socket.once("close", release);
        return { socket, backend };
      }
      release();
    }
    return undefined;
  }

  /** Fewest open connections first; equals take turns. */
  #inOrder(backends: readonly Backend[]): Backend[] {
    this.#turn += 1;
    const start = this.#turn % Math.max(1, backends.length);
    return [...backends.slice(start), ...backends.slice(0, start)].sort(
      (a, b) => (this.#open.get(a.id) ?? 0) - (this.#open.get(b.id) ?? 0),
    );
  }

  #opened({ id }: Backend): () => void {
    this.#open.set(id, (this.#open.get(id) ?? 0) + 1);
    return () => {
      const left = (this.#open.get(id) ?? 1) - 1;
      if (left === 0) this.#open.delete(id);
      else this.#open.set(id, left);
    };
  }
}

function dial({ host, port }: Backend, timeoutMs: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const give = (result: Socket | undefined): void => {
      clearTimeout(timer);
      if (result === undefined) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => give(undefined), timeoutMs);
    socket.once("connect", () => give(socket));
    socket.once("error", () => give(undefined));
  });
}
