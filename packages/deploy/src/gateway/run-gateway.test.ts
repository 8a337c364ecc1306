import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { isCodedError } from "@cloister/encoding";
import { runGateway } from "./run-gateway.ts";

test("a gateway without a service is refused, and leaves its port as it was: nothing keeps the process up", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  const silent = { onHealth: () => undefined, onError: () => undefined, onConnectionEnd: () => undefined };
  await assert.rejects(
    runGateway({ kind: "built-in", listen: `127.0.0.1:${port}` }, silent),
    (error) => isCodedError(error) && error.code === "GATEWAY_CONFIG_INVALID",
  );
  const next = createServer().listen(port, "127.0.0.1");
  await once(next, "listening");
  next.close();
});
