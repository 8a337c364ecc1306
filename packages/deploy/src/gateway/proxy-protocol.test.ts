import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { proxyHeader, readProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function version2(command: number, family: number, addresses: Buffer): Buffer {
  const header = Buffer.from([command, family, 0, 0]);
  header.writeUInt16BE(addresses.length, 2);
  return Buffer.concat([SIGNATURE, header, addresses]);
}

test("what we write is read back", () => {
  const v4 = proxyHeader({ host: "192.0.2.1", port: 5 }, { host: "192.0.2.2", port: 6 });
  assert.equal(v4.toString(), "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n");
  assert.deepEqual(readProxyHeader(Buffer.concat([v4, Buffer.from("rest")])), {
    kind: "header",
    length: v4.length,
    client: "192.0.2.1",
  });
  const v6 = proxyHeader({ host: "2001:db8::1", port: 5 }, { host: "::1", port: 6 });
  assert.deepEqual(readProxyHeader(v6), { kind: "header", length: v6.length, client: "2001:db8::1" });
});

test("version 2 tells IPv4 and IPv6 clients, with extensions behind the addresses", () => {
  const v4 = version2(0x21, 0x11, Buffer.from([192, 0, 2, 7, 0, 0, 0, 0, 0, 1, 0, 2, 9, 9, 9]));
  assert.deepEqual(readProxyHeader(v4), { kind: "header", length: v4.length, client: "192.0.2.7" });
  const v6 = version2(0x21, 0x21, Buffer.concat([Buffer.from("20010db8", "hex"), Buffer.alloc(32)]));
  assert.deepEqual(readProxyHeader(v6), { kind: "header", length: v6.length, client: "2001:db8:0:0:0:0:0:0" });
});

test("a balancer that speaks for itself names no client", () => {
  for (const header of [version2(0x20, 0, Buffer.alloc(0)), Buffer.from("PROXY UNKNOWN\r\n")]) {
    assert.deepEqual(readProxyHeader(header), { kind: "header", length: header.length, client: undefined });
  }
});

test("the header is waited for until it is whole", () => {
  for (const header of [
    version2(0x21, 0x11, Buffer.alloc(12)),
    proxyHeader({ host: "1.2.3.4", port: 1 }, { host: "1.2.3.4", port: 2 }),
  ]) {
    for (let length = 0; length < header.length; length++) {
      assert.deepEqual(readProxyHeader(header.subarray(0, length)), { kind: "more" });
    }
  }
});

for (const [why, bytes] of [
  ["another protocol", Buffer.from("GET / HTTP/1.1\r\n")],
  ["a line without an end", Buffer.from(`PROXY TCP4 ${"1".repeat(120)}`)],
  ["an address that is none", Buffer.from("PROXY TCP4 a;b 1.2.3.4 1 2\r\n")],
  ["an unknown command", version2(0x22, 0x11, Buffer.alloc(12))],
  ["addresses that are too short", version2(0x21, 0x11, Buffer.alloc(8))],
  ["a header that is too long", version2(0x21, 0x11, Buffer.alloc(4096)).subarray(0, 32)],
] as const) {
  test(`${why} is refused`, () => {
    assert.deepEqual(readProxyHeader(bytes), { kind: "invalid" });
  });
}

test("any bytes get an answer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isV2) => {
      const { kind } = readProxyHeader(Buffer.concat([isV2 ? SIGNATURE : Buffer.from("PROXY "), bytes]));
      return ["header", "more", "invalid"].includes(kind);
    }),
  );
});
