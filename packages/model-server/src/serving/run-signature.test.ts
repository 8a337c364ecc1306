import assert from "node:assert/strict";
import { test } from "node:test";
import type { Servable } from "../engine/engine.ts";
import { cancelled } from "../engine/failure.ts";
import { callError } from "../errors.ts";
import { runSignature } from "./run-signature.ts";

test("what an engine gives up is DEADLINE_EXCEEDED where the time was over, and CANCELLED where the client left", async () => {
  const servable: Servable = {
    signatures: new Map(),
    unsupported: new Map(),
    run: () => Promise.reject(cancelled()),
    close: () => Promise.resolve(),
  };
  const run = (signal: AbortSignal) =>
    runSignature(servable, { signature: "s", inputs: new Map(), outputs: ["y"], signal });
  const late = AbortSignal.abort(callError("DEADLINE_EXCEEDED", "Deadline Exceeded"));
  await assert.rejects(run(late), { code: "DEADLINE_EXCEEDED" });
  await assert.rejects(run(AbortSignal.abort()), { code: "CANCELLED" });
});
