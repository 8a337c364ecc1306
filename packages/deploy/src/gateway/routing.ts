import { parseHostPort } from "@cloister/encoding/host-port";
import type { GatewayService } from "./config.ts";
import { ANY_NAME, type Route } from "./gateway.ts";

/**
 * The route for a server name: the exact one, else the longest `*.suffix` (one label or more in place of the star, as nginx's map
 * does), else the one for any name.
 */
export function routeFor(routes: readonly Route[], serverName: string | undefined): Route | undefined {
  if (serverName !== undefined) {
    const exact = routes.find((route) => route.serverName === serverName);
    if (exact !== undefined) return exact;
    const wildcards = routes
      .filter((route) => route.serverName.startsWith("*.") && serverName.endsWith(route.serverName.slice(1)))
      .toSorted((a, b) => b.serverName.length - a.serverName.length);
    if (wildcards[0] !== undefined) return wildcards[0];
  }
  return routes.find((route) => route.serverName === ANY_NAME);
}

/** Whether routes have to look at the server name at all. */
export function needsServerName(routes: readonly Route[]): boolean {
  return routes.some((route) => route.serverName !== ANY_NAME);
}

/** Routes over the backends as they are written: names stay names, nothing is asked whether it is up. */
export function routesAsConfigured(services: readonly GatewayService[]): Route[] {
  return services.map(({ serverName, backends }) => ({
    serverName,
    backends: backends.flatMap((id) => {
      const address = parseHostPort(id);
      return address === undefined ? [] : [{ id, ...address }];
    }),
  }));
}
