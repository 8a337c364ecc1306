import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { hostPort, parseHostPort } from "@cloister/encoding/host-port";
import type { GatewayService } from "./config.ts";
import type { Backend, Route } from "./gateway.ts";

const PROBE_TIMEOUT_MS = 2_000;

/** The state of one address behind a service. */
export interface BackendHealth {
  readonly serverName: string;
  readonly backend: Backend;
  readonly isUp: boolean;
}

/**
 * Looks at every backend of every service once: its name is resolved anew, so that replicas that came or went are noticed, and each
 * address is asked for a connection. A replica listens only once it has its key and its model, so a port that opens is one that is ready.
 */
export async function probeServices(services: readonly GatewayService[]): Promise<BackendHealth[]> {
  const perService = await Promise.all(
    services.map(async ({ serverName, backends }) => {
      const resolved = (await Promise.all(backends.map(resolveBackend))).flat();
      return Promise.all(
        resolved.map(async (backend) => ({ serverName, backend, isUp: await takesConnections(backend) })),
      );
    }),
  );
  return perService.flat();
}

/**
 * Routes over the addresses that are up. Where none of a service is, all of them stay: then a client that connects finds out, and the
 * gateway needs no probe to notice the first that comes back.
 */
export function healthyRoutes(services: readonly GatewayService[], health: readonly BackendHealth[]): Route[] {
  return services.map(({ serverName }) => {
    const own = health.filter((one) => one.serverName === serverName);
    const up = own.filter((one) => one.isUp);
    return { serverName, backends: (up.length > 0 ? up : own).map(({ backend }) => backend) };
  });
}

/** The addresses of `host:port`, in a stable order; none where the name does not resolve. */
async function resolveBackend(text: string): Promise<Backend[]> {
  const parsed = parseHostPort(text);
  if (parsed === undefined) return [];
  const addresses = await lookup(parsed.host, { all: true }).catch(() => []);
  const hosts = [...new Set(addresses.map(({ address }) => address))].toSorted((a, b) => (a < b ? -1 : 1));
  return hosts.map((host) => ({ id: hostPort({ host, port: parsed.port }), host, port: parsed.port }));
}

function takesConnections({ host, port }: Backend): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const give = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => give(false));
    socket.once("connect", () => give(true)).once("error", () => give(false));
  });
}
