import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type Address, listenAt } from "../listen.ts";
import type { Readiness } from "./readiness.ts";

const HEADER_TIMEOUT_MS = 5000;
const MAX_CONNECTIONS = 64;

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  readonly readiness: () => Readiness;
  /** Why the process should be started again; undefined: it need not. Absent: it never need. */
  readonly restartFor?: () => string | undefined;
  readonly metrics: () => string;
  /** What `/status` answers as JSON; absent: there is no such page. */
  readonly status?: () => object;
}

export interface HealthListener {
  readonly address: Address;
  close(): Promise<void>;
}

/**
 * Liveness, readiness and metrics over plain HTTP, for the machine's own agents: nothing here is secret, and nothing can be
 * changed. `/livez` answers while the event loop turns and no restart is needed, `/readyz` while releases can be made.
 * Throws LISTEN_FAILED.
 */
export async function startHealth(options: HealthOptions): Promise<HealthListener> {
  const server = createServer({ headersTimeout: HEADER_TIMEOUT_MS, requestTimeout: HEADER_TIMEOUT_MS });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("request", (request, response) => {
    const { status, body, type = "text/plain; charset=utf-8" } = answer(request.method, request.url, options);
    response.writeHead(status, { "content-type": type, "cache-control": "no-store", connection: "close" }).end(body);
  });
  return { address: await listenAt(server, options), close: () => close(server) };
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

function answer(method: string | undefined, url: string | undefined, options: HealthOptions): Answer {
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: "" };
  switch (url) {
    case "/livez": {
      const reason = options.restartFor?.();
      return reason === undefined ? { status: 200, body: "ok\n" } : { status: 503, body: `${reason}\n` };
    }
    case "/readyz": {
      const { ready, reasons } = options.readiness();
      return { status: ready ? 200 : 503, body: ready ? "ok\n" : `${reasons.join("\n")}\n` };
    }
    case "/metrics":
      return { status: 200, body: options.metrics(), type: "text/plain; version=0.0.4; charset=utf-8" };
    case "/status":
      if (options.status === undefined) return { status: 404, body: "" };
      return { status: 200, body: `${JSON.stringify(options.status())}\n`, type: "application/json" };
    default:
      return { status: 404, body: "" };
  }
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
