export { GatewayConfig, type GatewayService, limitsOf } from "./config.ts";
export type { ConnectionRecord } from "./gateway.ts";
export type { BackendHealth } from "./health.ts";
export type { Backend } from "./gateway.ts";
export { openGateway } from "./open-gateway.ts";
export { findNginx } from "./nginx.ts";
export { renderNginxConfig } from "./nginx-config.ts";
export { routesAsConfigured } from "./routing.ts";
export { listenOf, runGateway, type RunningGateway, servicesOf } from "./run-gateway.ts";
