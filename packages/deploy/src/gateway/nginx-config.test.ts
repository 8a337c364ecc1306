import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "./gateway.ts";
import { renderNginxConfig } from "./nginx-config.ts";

const backends = [
  { id: "replica-1", host: "127.0.0.1", port: 9001 },
  { id: "replica-2", host: "127.0.0.1", port: 9002 },
];
const options = {
  listen: { host: "127.0.0.1", port: 8500 },
  routes: [{ serverName: "*", backends }],
  limits: DEFAULT_LIMITS,
  runDir: "/run/cloister",
};

test("the configuration balances by least connections over all replicas", () => {
  const config = renderNginxConfig(options);
  assert.match(config, /least_conn;\n *server 127\.0\.0\.1:9001 .*;\n *server 127\.0\.0\.1:9002 .*;/);
  assert.doesNotMatch(config, /preread/);
});

test("several services are told apart by the server name, and a name of none is dropped", () => {
  const routes = [
    { serverName: "a.example.com", backends: [{ id: "a", host: "::1", port: 1 }] },
    { serverName: "*.b.example.com", backends },
  ];
  const config = renderNginxConfig({ ...options, routes });
  assert.match(config, /default "";\n *a\.example\.com route_0;\n *\*\.b\.example\.com route_1;/);
  assert.match(config, /server \[::1\]:1 /);
  assert.match(config, /ssl_preread on;\n *proxy_pass \$route;/);
  const withDefault = renderNginxConfig({ ...options, routes: [...routes, ...options.routes] });
  assert.match(withDefault, /default route_2;/);
});

test("limits and the PROXY protocol are written where they are asked for", () => {
  const limits = {
    ...DEFAULT_LIMITS,
    maxConnectionsPerAddress: 7,
    uploadBytesPerSecond: 4096,
    acceptProxyProtocol: true,
    sendProxyProtocol: true,
  };
  const config = renderNginxConfig({ ...options, limits, accessLog: "/var/log/a.log" });
  for (const line of [
    "listen 127.0.0.1:8500 proxy_protocol;",
    "limit_conn_zone $proxy_protocol_addr zone=addresses:10m;",
    "limit_conn addresses 7;",
    "proxy_upload_rate 4096;",
    "proxy_protocol on;",
    "access_log /var/log/a.log connection;",
  ]) {
    assert.ok(config.includes(line), line);
  }
  assert.doesNotMatch(renderNginxConfig(options), /limit_conn|upload_rate|proxy_protocol|access_log \//);
});

test("the configuration holds no certificate, no key and no TLS end", () => {
  assert.doesNotMatch(renderNginxConfig(options), /ssl|certificate|key|http \{/);
});

test("without replicas it still has an upstream that nginx accepts", () => {
  assert.match(
    renderNginxConfig({ ...options, routes: [{ serverName: "*", backends: [] }] }),
    /server 127\.0\.0\.1:9 down;/,
  );
});

test("a dynamic stream module is loaded first", () => {
  const config = renderNginxConfig({ ...options, streamModule: "/m.so" });
  assert.ok(config.startsWith("load_module /m.so;\n"));
});
