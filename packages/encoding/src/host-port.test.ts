import assert from "node:assert/strict";
import { test } from "node:test";
import { hostPort, parseHostPort } from "./host-port.ts";

test("names, IPv4 and bracketed IPv6 addresses come back as they were written", () => {
  for (const text of ["localhost:8500", "127.0.0.1:0", "a-b.example.com:65535", "[::1]:443", "[fe80::1.2.3.4]:1"]) {
    const parsed = parseHostPort(text);
    assert.ok(parsed);
    assert.equal(hostPort(parsed), text);
  }
});

test("anything else is none, so that it can be written into a configuration", () => {
  for (const text of [
    "",
    "host",
    "host:",
    ":1",
    "host:65536",
    "::1:443",
    "[::1]",
    "a b:1",
    "a;b:1",
    "-a:1",
    "a-:1",
    "host:1x",
  ]) {
    assert.equal(parseHostPort(text), undefined, text);
  }
});
