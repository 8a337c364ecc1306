import { DeployError } from "../errors.ts";
import type { Gateway, GatewayOptions } from "./gateway.ts";
import { findNginx, startNginx } from "./nginx.ts";
import { startPassthrough } from "./passthrough.ts";

export type GatewayKind = Gateway["kind"];

/**
 * Opens the gateway of the kind asked for; "auto" takes nginx when an nginx with stream support is installed, else the
 * built-in one. Throws `NGINX_FAILED` when nginx is asked for and is not there, `PORT_IN_USE`.
 */
export async function openGateway(
  kind: GatewayKind | "auto",
  options: GatewayOptions & { readonly runDir: string },
): Promise<Gateway> {
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
