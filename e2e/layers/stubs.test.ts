import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ROOT, startTestChain } from "../support/chain.ts";

// Needs a Python with TensorFlow and the official TensorFlow Serving stubs: CLOISTER_ORACLE_PYTHON names it.

const run = promisify(execFile);

for (const tls of ["mutual", "one-way"] as const) {
  test(`TensorFlow Serving's official Python stubs get TensorFlow's answers over ${tls} TLS`, async () => {
    const python = process.env["CLOISTER_ORACLE_PYTHON"];
    assert.ok(python !== undefined && python !== "", "CLOISTER_ORACLE_PYTHON is not set");
    const { chain, close } = await startTestChain({ tls });
    try {
      const { address } = chain.gateway;
      const { ca, cert, key } = chain.requester;
      const identity = cert === undefined || key === undefined ? [] : ["--cert", cert, "--key", key];
      const digits = join(ROOT, "examples/digits");
      const { stdout } = await run(python, [
        join(ROOT, "e2e/oracle/check_server.py"),
        ...["--address", `${address.host}:${address.port}`, "--ca", ca, ...identity],
        ...["--server-name", "grpc.tf-serving.service.com", "--model", "digits"],
        ...["--images", join(digits, "images"), "--golden", join(digits, "golden.json")],
      ]);
      assert.match(stdout, /100/);
    } finally {
      await close();
    }
  });
}
