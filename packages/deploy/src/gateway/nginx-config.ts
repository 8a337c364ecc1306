import { hostPort } from "@cloister/encoding/host-port";
import { ANY_NAME, type GatewayLimits, type Route } from "./gateway.ts";
import { needsServerName } from "./routing.ts";

export interface NginxConfigOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly routes: readonly Route[];
  readonly limits: GatewayLimits;
  /** Folder for pid file, logs and temporary files; must be absolute. */
  readonly runDir: string;
  /** Where to write a JSON line for each connection that ended; nothing is written where it is left out. */
  readonly accessLog?: string;
  /** Path of ngx_stream_module.so where nginx was built with it as a dynamic module. */
  readonly streamModule?: string;
}

/** Nginx counts the connections of both sides, and some of its own. */
const SPARE_CONNECTIONS = 64;

/**
 * An nginx configuration that passes TLS through at the stream level: no certificate, no key, least connections; where routes ask for
 * it the server name is read out of the ClientHello, and a connection for none of them is dropped. Deterministic. Server names,
 * hosts and paths have to be checked before (`GatewayConfig` does): they are written as they are.
 */
export function renderNginxConfig(options: NginxConfigOptions): string {
  const { limits, routes, runDir, streamModule } = options;
  const stream = [
    ...accessLog(options),
    ...(limits.maxConnectionsPerAddress === undefined
      ? []
      : [`limit_conn_zone ${clientAddress(limits)} zone=addresses:10m;`]),
    ...(needsServerName(routes) ? nameMap(routes) : []),
    ...routes.flatMap(upstream),
    "server {",
    ...indent(server(options)),
    "}",
  ];
  return [
    ...(streamModule === undefined ? [] : [`load_module ${streamModule};`]),
    "daemon off;",
    "worker_processes 1;",
    `pid ${runDir}/nginx.pid;`,
    `error_log ${runDir}/nginx-error.log warn;`,
    `events { worker_connections ${2 * limits.maxConnections + SPARE_CONNECTIONS}; }`,
    "stream {",
    ...indent(stream),
    "}",
    "",
  ].join("\n");
}

function server({ listen, routes, limits }: NginxConfigOptions): string[] {
  return [
    `listen ${hostPort(listen)}${limits.acceptProxyProtocol ? " proxy_protocol" : ""};`,
    ...(needsServerName(routes) ? ["ssl_preread on;", "proxy_pass $route;"] : ["proxy_pass route_0;"]),
    `proxy_connect_timeout ${limits.connectTimeoutSeconds}s;`,
    `proxy_timeout ${limits.idleTimeoutSeconds}s;`,
    "proxy_next_upstream on;",
    ...(limits.maxConnectionsPerAddress === undefined
      ? []
      : [`limit_conn addresses ${limits.maxConnectionsPerAddress};`]),
    ...(limits.uploadBytesPerSecond === undefined ? [] : [`proxy_upload_rate ${limits.uploadBytesPerSecond};`]),
    ...(limits.sendProxyProtocol ? ["proxy_protocol on;"] : []),
    "tcp_nodelay on;",
  ];
}

/** An empty name of an upstream closes the connection. Nginx prefers exact names to wildcards, and among those the longest. */
function nameMap(routes: readonly Route[]): string[] {
  const any = routes.findIndex((route) => route.serverName === ANY_NAME);
  const names = routes.flatMap(({ serverName }, index) =>
    serverName === ANY_NAME ? [] : [`${serverName} route_${index};`],
  );
  return [
    "map $ssl_preread_server_name $route {",
    ...indent(["hostnames;", `default ${any < 0 ? '""' : `route_${any}`};`, ...names]),
    "}",
  ];
}

/** Nginx refuses an upstream without servers, so a port that nobody listens on stands in, marked down. */
function upstream({ backends }: Route, index: number): string[] {
  const servers =
    backends.length > 0
      ? backends.map((backend) => `server ${hostPort(backend)} max_fails=1 fail_timeout=1s;`)
      : ["server 127.0.0.1:9 down;"];
  return [`upstream route_${index} {`, ...indent(["least_conn;", ...servers]), "}"];
}

/** The fields of `ConnectionRecord`, as far as nginx knows them. */
function accessLog({ accessLog: path, limits, routes }: NginxConfigOptions): string[] {
  if (path === undefined) return ["access_log off;"];
  const fields = [
    '"time":"$time_iso8601"',
    `"client":"${clientAddress(limits)}"`,
    ...(needsServerName(routes) ? ['"serverName":"$ssl_preread_server_name"'] : []),
    '"backend":"$upstream_addr"',
    '"status":"$status"',
    '"bytesFromClient":$bytes_received',
    '"bytesToClient":$bytes_sent',
    '"seconds":$session_time',
  ];
  return [`log_format connection escape=json '{${fields.join(",")}}';`, `access_log ${path} connection;`];
}

function clientAddress({ acceptProxyProtocol }: GatewayLimits): string {
  return acceptProxyProtocol ? "$proxy_protocol_addr" : "$remote_addr";
}

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
