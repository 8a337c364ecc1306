import type { Backend } from "./gateway.ts";

export interface NginxConfigOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly backends: readonly Backend[];
  /** Folder for pid file, logs and temporary files; must be absolute. */
  readonly runDir: string;
  /** Path of ngx_stream_module.so where nginx was built with it as a dynamic module. */
  readonly streamModule?: string;
}

/**
 * An nginx configuration that passes TLS through at the stream level: no certificate, no key, least connections. Deterministic.
 * An empty backend list still gives a valid configuration: nginx refuses an upstream without servers, so a port that nobody
 * listens on stands in, marked down.
 */
export function renderNginxConfig(options: NginxConfigOptions): string {
  const servers =
    options.backends.length > 0
      ? options.backends.map(({ host, port }) => `    server ${host}:${port} max_fails=1 fail_timeout=1s;`)
      : ["    server 127.0.0.1:9 down;"];
  return [
    ...(options.streamModule === undefined ? [] : [`load_module ${options.streamModule};`]),
    "daemon off;",
    "worker_processes 1;",
    `pid ${options.runDir}/nginx.pid;`,
    `error_log ${options.runDir}/nginx-error.log warn;`,
    "events { worker_connections 4096; }",
    "stream {",
    "  log_format passed '$time_iso8601 $remote_addr $upstream_addr $status $bytes_sent $bytes_received $session_time';",
    `  access_log ${options.runDir}/nginx-access.log passed;`,
    "  upstream replicas {",
    "    least_conn;",
    ...servers,
    "  }",
    "  server {",
    `    listen ${options.listen.host}:${options.listen.port};`,
    "    proxy_pass replicas;",
    "    proxy_connect_timeout 2s;",
    "    proxy_next_upstream on;",
    "    tcp_nodelay on;",
    "  }",
    "}",
    "",
  ].join("\n");
}
