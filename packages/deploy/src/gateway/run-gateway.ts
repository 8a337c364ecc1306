import { setTimeout as sleep } from "node:timers/promises";
import { parseHostPort } from "@cloister/encoding/host-port";
import { DeployError } from "../errors.ts";
import { type GatewayConfig, type GatewayService, limitsOf } from "./config.ts";
import type { ConnectionRecord, Gateway } from "./gateway.ts";
import { type BackendHealth, healthyRoutes, probeServices } from "./health.ts";
import { openGateway } from "./open-gateway.ts";

const DEFAULT_LISTEN = "0.0.0.0:8500";
const DEFAULT_PROBE_SECONDS = 2;

export interface RunGatewayOptions {
  /** Told whenever an address came, went, or changed its state, after new connections follow it. */
  readonly onHealth: (health: readonly BackendHealth[]) => void;
  readonly onError: (error: unknown) => void;
  /** Told by the built-in gateway for each connection that ended; nginx writes its own log. */
  readonly onConnectionEnd: (record: ConnectionRecord) => void;
}

export interface RunningGateway {
  readonly kind: Gateway["kind"];
  readonly address: Gateway["address"];
  /** Takes the services of a new configuration; open connections stay. Throws where they are refused, and those before stay. */
  applyServices(config: GatewayConfig): Promise<void>;
  close(): Promise<void>;
}

/** Opens the gateway and keeps its routes on the replicas that are up. Throws `DeployError`. */
export async function runGateway(config: GatewayConfig, options: RunGatewayOptions): Promise<RunningGateway> {
  const { host, port } = listenOf(config);
  const services = servicesOf(config);
  const { accessLog } = config;
  const gateway = await openGateway(config.kind ?? "auto", {
    host,
    port,
    limits: limitsOf(config),
    runDir: config.runDir ?? "/run/cloister-gateway",
    ...(accessLog !== undefined && { accessLog }),
    onConnectionEnd: options.onConnectionEnd,
  });
  const routes = new LiveRoutes(gateway, services, options.onHealth);
  try {
    await routes.refresh();
  } catch (error) {
    await gateway.close();
    throw error;
  }
  const stop = new AbortController();
  const loop = keepFresh(routes, (config.probeSeconds ?? DEFAULT_PROBE_SECONDS) * 1000, stop.signal, options.onError);
  return {
    kind: gateway.kind,
    address: gateway.address,
    applyServices: (next) => routes.use(servicesOf(next)),
    close: async () => {
      stop.abort();
      await gateway.close();
      await loop;
    },
  };
}

/** The address to listen on. Throws `GATEWAY_CONFIG_INVALID` for what `GatewayConfig` would not have let through. */
export function listenOf({ listen }: GatewayConfig): { readonly host: string; readonly port: number } {
  const parsed = parseHostPort(listen ?? DEFAULT_LISTEN);
  if (parsed === undefined) throw configInvalid("the address to listen on is not host:port");
  return parsed;
}

/** The services of a configuration. Throws `GATEWAY_CONFIG_INVALID` where there are none. */
export function servicesOf({ services }: GatewayConfig): readonly GatewayService[] {
  if (services === undefined) throw configInvalid("no service is named");
  return services;
}

function configInvalid(why: string): DeployError {
  return new DeployError("GATEWAY_CONFIG_INVALID", {
    what: "the gateway did not start",
    why,
    remedy: "name services with --service or in the section gateway of cloister.yaml",
  });
}

/** The routes in use: the services asked for, over the addresses that are up. One change at a time. */
class LiveRoutes {
  readonly #gateway: Gateway;
  readonly #onHealth: (health: readonly BackendHealth[]) => void;
  #services: readonly GatewayService[];
  #inUse = "";
  #last: Promise<void> = Promise.resolve();

  constructor(gateway: Gateway, services: readonly GatewayService[], onHealth: RunGatewayOptions["onHealth"]) {
    this.#gateway = gateway;
    this.#services = services;
    this.#onHealth = onHealth;
  }

  /** Looks again at the services in use. */
  refresh(): Promise<void> {
    return this.#next(() => this.#change(this.#services));
  }

  /** Puts other services in their place. */
  use(services: readonly GatewayService[]): Promise<void> {
    return this.#next(() => this.#change(services));
  }

  #next(task: () => Promise<void>): Promise<void> {
    const change = this.#last.then(task);
    this.#last = change.catch(() => undefined);
    return change;
  }

  async #change(services: readonly GatewayService[]): Promise<void> {
    const health = await probeServices(services);
    const state = JSON.stringify([services, health]);
    if (state !== this.#inUse) {
      await this.#gateway.setRoutes(healthyRoutes(services, health));
      this.#inUse = state;
      this.#onHealth(health);
    }
    this.#services = services;
  }
}

async function keepFresh(
  routes: LiveRoutes,
  periodMs: number,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(periodMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await routes.refresh().catch(onError);
  }
}
