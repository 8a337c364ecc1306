import { connect, createServer, type Server, type Socket } from "node:net";
import { DeployError } from "../errors.ts";
import type { Backend, Gateway, GatewayOptions } from "./gateway.ts";

const CONNECT_TIMEOUT_MS = 2_000;
const MAX_CONNECTIONS = 4_096;

/**
 * The built-in gateway: TCP passthrough to the backend with the fewest open connections. A backend that does not take the
 * connection is skipped and the next one tried; no byte of the client is lost, since none has been read by then.
 * Throws `PORT_IN_USE`.
 */
export async function startPassthrough(options: GatewayOptions): Promise<Gateway> {
  const pool = new BackendPool();
  const open = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
    track(open, client);
    forward(client, pool, open).catch(() => client.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options);
  const { port } = server.address() as { port: number };
  return {
    kind: "built-in",
    address: { host: options.host, port },
    setBackends: (backends) => {
      pool.set(backends);
      return Promise.resolve();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Counts open connections per backend and says who is next. */
class BackendPool {
  #backends: readonly Backend[] = [];
  readonly #open = new Map<string, number>();
  #turn = 0;

  set(backends: readonly Backend[]): void {
    this.#backends = backends;
  }

  /** All backends, fewest open connections first; equals take turns. */
  inOrder(): Backend[] {
    this.#turn += 1;
    const count = this.#backends.length;
    return this.#backends
      .map((_, index) => this.#backends[(index + this.#turn) % count])
      .filter((backend) => backend !== undefined)
      .sort((a, b) => (this.#open.get(a.id) ?? 0) - (this.#open.get(b.id) ?? 0));
  }

  opened(backend: Backend): () => void {
    this.#open.set(backend.id, (this.#open.get(backend.id) ?? 0) + 1);
    return () => this.#open.set(backend.id, (this.#open.get(backend.id) ?? 1) - 1);
  }
}

async function forward(client: Socket, pool: BackendPool, open: Set<Socket>): Promise<void> {
  for (const backend of pool.inOrder()) {
    const release = pool.opened(backend);
    const upstream = await dial(backend);
    if (upstream === undefined) {
      release();
      continue;
    }
    track(open, upstream);
    upstream.once("close", release);
    join(client, upstream);
    return;
  }
  client.destroy();
}

function join(client: Socket, upstream: Socket): void {
  client.once("close", () => upstream.destroy());
  upstream.once("close", () => client.destroy());
  if (client.destroyed) upstream.destroy();
  client.pipe(upstream).pipe(client);
}

function dial(backend: Backend): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: backend.host, port: backend.port, noDelay: true });
    const give = (result: Socket | undefined): void => {
      clearTimeout(timer);
      if (result === undefined) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => give(undefined), CONNECT_TIMEOUT_MS);
    socket.once("connect", () => give(socket));
    socket.once("error", () => give(undefined));
  });
}

/** Keeps a socket in the set while it is open. Its errors end it; there is nobody to tell. */
function track(open: Set<Socket>, socket: Socket): void {
  open.add(socket);
  socket.on("error", () => socket.destroy());
  socket.once("close", () => open.delete(socket));
}

function listen(server: Server, { host, port }: GatewayOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new DeployError(
          "PORT_IN_USE",
          {
            what: `the gateway could not listen on port ${port}`,
            why: "the system refused the port",
            remedy: "choose another one with --port, or 0 for any free one",
          },
          { cause },
        ),
      ),
    );
    server.listen(port, host, () => resolve());
  });
}
