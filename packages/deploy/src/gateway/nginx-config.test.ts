import assert from "node:assert/strict";
import { test } from "node:test";
import { renderNginxConfig } from "./nginx-config.ts";

const options = {
  listen: { host: "127.0.0.1", port: 8500 },
  backends: [
    { id: "replica-1", host: "127.0.0.1", port: 9001 },
    { id: "replica-2", host: "127.0.0.1", port: 9002 },
  ],
  runDir: "/run/cloister",
};

test("the configuration balances by least connections over all replicas", () => {
  const config = renderNginxConfig(options);
  assert.match(config, /least_conn;\n {4}server 127\.0\.0\.1:9001 .*;\n {4}server 127\.0\.0\.1:9002 .*;/);
});

test("the configuration holds no certificate, no key and no TLS end", () => {
  assert.doesNotMatch(renderNginxConfig(options), /ssl|certificate|key|http \{/);
});

test("without replicas it still has an upstream that nginx accepts", () => {
  assert.match(renderNginxConfig({ ...options, backends: [] }), /server 127\.0\.0\.1:9 down;/);
});

test("a dynamic stream module is loaded first", () => {
  const config = renderNginxConfig({ ...options, streamModule: "/m.so" });
  assert.ok(config.startsWith("load_module /m.so;\n"));
});
