import { DeployError } from "../errors.ts";
import type { ConnectionRecord, Gateway, GatewayOptions } from "./gateway.ts";
import { findNginx, startNginx } from "./nginx.ts";
import { startPassthrough } from "./passthrough.ts";

export type GatewayKind = Gateway["kind"];

export interface OpenGatewayOptions extends GatewayOptions {
  /** Takes nginx's configuration, pid file and logs. */
  readonly runDir: string;
  /** File to which nginx writes a JSON line for each connection that ended. */
  readonly accessLog?: string;
  /** Told by the built-in gateway for each connection that ended. */
  readonly onConnectionEnd?: (record: ConnectionRecord) => void;
}

/**
 * Opens the gateway of the kind asked for; "auto" takes nginx when an nginx with stream support is installed, else the
 * built-in one. Throws `NGINX_FAILED` when nginx is asked for and is not there, `PORT_IN_USE`.
 */
export async function openGateway(kind: GatewayKind | "auto", options: OpenGatewayOptions): Promise<Gateway> {
  if (kind === "built-in") return startPassthrough(options);
  const nginx = await findNginx();
  if (nginx !== undefined) return startNginx({ ...options, nginx });
  if (kind === "auto") return startPassthrough(options);
  throw new DeployError("NGINX_FAILED", {
    what: "nginx cannot be the gateway",
    why: "no nginx with stream support is installed",
    remedy: "install nginx with its stream module, or choose --gateway built-in",
  });
}
