import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { hostPort } from "@cloister/encoding/host-port";
import { DeployError } from "../errors.ts";
import { BackendPool } from "./backend-pool.ts";
import { joinSockets } from "./join-sockets.ts";
import { readPreamble } from "./preamble.ts";
import { proxyHeader } from "./proxy-protocol.ts";
import {
  type Backend,
  type ConnectionRecord,
  DEFAULT_LIMITS,
  type Gateway,
  type GatewayLimits,
  type GatewayOptions,
  type Route,
} from "./gateway.ts";
import { needsServerName, routeFor } from "./routing.ts";

type Outcome = ConnectionRecord["outcome"];

/** What is known of a connection that reached a backend. */
interface Passed {
  readonly backend?: Backend;
  readonly upstream?: string;
  readonly bytesFromClient?: number;
}

export interface PassthroughOptions extends GatewayOptions {
  /** Told once for each connection, when it ends. */
  readonly onConnectionEnd?: (record: ConnectionRecord) => void;
}

/**
 * The built-in gateway: TCP passthrough to the backend with the fewest open connections among those of the route. A backend that
 * does not take the connection is skipped and the next one tried; no byte of the client is lost, since what was read to find the
 * route is sent on first. Throws `PORT_IN_USE`.
 */
export async function startPassthrough(options: PassthroughOptions): Promise<Gateway> {
  const gateway = new Passthrough(options);
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => gateway.accept(client));
  server.maxConnections = gateway.limits.maxConnections;
  await listen(server, options);
  const { port } = server.address() as { port: number };
  return {
    kind: "built-in",
    address: { host: options.host, port },
    setRoutes: (routes) => {
      gateway.routes = routes;
      return Promise.resolve();
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await Promise.all([closed, gateway.closeAll()]);
    },
  };
}

class Passthrough {
  routes: readonly Route[] = [];
  readonly limits: GatewayLimits;
  readonly #onEnd: (record: ConnectionRecord) => void;
  readonly #pool = new BackendPool();
  readonly #open = new Set<Socket>();
  readonly #perAddress = new Map<string, number>();

  constructor(options: PassthroughOptions) {
    this.limits = options.limits ?? DEFAULT_LIMITS;
    this.#onEnd = options.onConnectionEnd ?? (() => undefined);
  }

  accept(client: Socket): void {
    this.#track(client);
    this.#forward(client).catch(() => client.destroy());
  }

  async closeAll(): Promise<void> {
    const closing = [...this.#open].map((socket) => once(socket, "close"));
    for (const socket of this.#open) socket.destroy();
    await Promise.all(closing);
  }

  async #forward(client: Socket): Promise<void> {
    const startedAt = performance.now();
    const { acceptProxyProtocol } = this.limits;
    const preamble = await readPreamble(client, { acceptProxyProtocol, wantsServerName: needsServerName(this.routes) });
    const { serverName } = preamble;
    const address = preamble.client ?? client.remoteAddress ?? "";
    const end = (outcome: Outcome, { backend, upstream = "", bytesFromClient = 0 }: Passed = {}): void => {
      this.#onEnd({
        client: address,
        serverName: serverName ?? "",
        backend: backend?.id ?? "",
        upstream,
        outcome,
        bytesFromClient,
        bytesToClient: client.bytesWritten,
        seconds: (performance.now() - startedAt) / 1000,
      });
      client.destroy();
    };
    if (!preamble.isValid || !this.#takePlace(client, address)) return end("refused");
    const route = routeFor(this.routes, serverName);
    if (route === undefined) return end("no-route");
    const upstream = await this.#pool.dial(route.backends, this.limits.connectTimeoutSeconds * 1000);
    if (upstream === undefined || client.destroyed) {
      upstream?.socket.destroy();
      return end("no-backend");
    }
    const { socket, backend } = upstream;
    this.#track(socket);
    if (this.limits.sendProxyProtocol) socket.write(this.#header(client, address));
    const proxiedFrom = socket.bytesWritten;
    const { localAddress: host = "", localPort: port = 0 } = socket;
    socket.once("close", () => {
      end("passed", {
        backend,
        upstream: hostPort({ host, port }),
        bytesFromClient: socket.bytesWritten - proxiedFrom,
      });
    });
    socket.write(preamble.bytes);
    joinSockets(client, socket, this.limits);
  }

  #header(client: Socket, address: string): Buffer {
    const { remotePort = 0, localAddress = "", localPort = 0 } = client;
    return proxyHeader({ host: address, port: remotePort }, { host: localAddress, port: localPort });
  }

  /** Counts the connection towards its client's limit; false where that is reached. */
  #takePlace(client: Socket, address: string): boolean {
    const { maxConnectionsPerAddress } = this.limits;
    if (maxConnectionsPerAddress === undefined) return true;
    const count = this.#perAddress.get(address) ?? 0;
    if (count >= maxConnectionsPerAddress) return false;
    this.#perAddress.set(address, count + 1);
    client.once("close", () => {
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(address);
      else this.#perAddress.set(address, left);
    });
    return true;
  }

  /** Keeps a socket in the set while it is open. Its errors end it; there is nobody to tell. */
  #track(socket: Socket): void {
    this.#open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#open.delete(socket));
  }
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
