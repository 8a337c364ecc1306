import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { testCertificates } from "@cloister/model-server/testing";
import { createHttp2Server } from "../../packages/model-server/src/rpc/http2/http2-server.ts";
import { serverTlsOptions } from "../../packages/model-server/src/rpc/tls.ts";

// Needs h2spec, the conformance suite of HTTP/2 and HPACK, which CLOISTER_H2SPEC names.

/**
 * A case that cannot apply: its HEADERS frame is longer than 16 KiB, which is the least that a server may announce. Ours announces
 * 1 MiB, so the frame is not too long. That a longer one ends the connection is tested beside the frame reader.
 */
const NOT_APPLICABLE = ["3: Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE"];

for (const isSecure of [false, true]) {
  test(`h2spec finds nothing wrong with HTTP/2 ${isSecure ? "over TLS" : "in plaintext"}`, async () => {
    const h2spec = process.env["CLOISTER_H2SPEC"];
    assert.ok(h2spec !== undefined && h2spec !== "", "CLOISTER_H2SPEC is not set");
    const server = createHttp2Server({
      tls: isSecure ? serverTlsOptions(testCertificates().server) : undefined,
      maxConnections: 1000,
      idleMs: 60_000,
      maxStreamsPerConnection: 100,
      maxHeaderBytes: 16_384,
      onConnection: () => undefined,
      onClose: () => undefined,
      // Its requests are GETs: it needs a server that answers them with a body.
      onStream: (stream) => {
        stream.receiver = {
          onData: (bytes) => stream.consumed(bytes.length),
          onEnd: () => stream.answer({ ":status": 200 }, Buffer.from("an answer"), { "grpc-status": "0" }),
          onClose: () => undefined,
        };
      },
    });
    server.listener.listen(0, "127.0.0.1");
    await once(server.listener, "listening");
    try {
      const { port } = server.listener.address() as AddressInfo;
      const where = ["-h", "127.0.0.1", "-p", String(port), ...(isSecure ? ["-t", "-k"] : [])];
      const run = spawn(h2spec, [...where, "-o", "10", "generic", "http2", "hpack"]);
      const report = await text(run.stdout);
      const [, count, passed, skipped] = /(\d+) tests, (\d+) passed, (\d+) skipped/.exec(report) ?? assert.fail(report);
      // Failures are told twice: where they happen, and at the end.
      const failures = new Set([...report.matchAll(/× (\d+: .*)/g)].map(([, name]) => name));
      assert.deepEqual([...failures], NOT_APPLICABLE, report);
      assert.equal(Number(passed), Number(count) - NOT_APPLICABLE.length);
      assert.equal(skipped, "0");
    } finally {
      await server.close(0);
    }
  });
}
