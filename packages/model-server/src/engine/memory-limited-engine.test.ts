import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Servable } from "./engine.ts";
import { engineError } from "./failure.ts";
import { MemoryLimitedEngine } from "./memory-limited-engine.ts";

const model = (bytes: number) => new Map([["saved_model.pb", new Uint8Array(bytes)]]);

function limited(load: () => Promise<Servable>): MemoryLimitedEngine {
  return new MemoryLimitedEngine({ name: "test", load }, 100, 2);
}

const servable: Servable = {
  signatures: new Map(),
  unsupported: new Map(),
  run: () => Promise.resolve(new Map()),
  close: () => Promise.resolve(),
};

describe("an engine with limited memory", () => {
  it("refuses what does not fit beside what is loaded, until that is closed", async () => {
    const engine = limited(() => Promise.resolve(servable));
    const first = await engine.load(model(30));
    assert.equal(engine.usedBytes, 60);
    await assert.rejects(engine.load(model(30)), { code: "MEMORY_EXCEEDED" });
    await engine.load(model(20));
    await first.close();
    await first.close();
    assert.equal(engine.usedBytes, 40);
    await engine.load(model(30));
    assert.equal(engine.usedBytes, 100);
  });

  it("counts a model while it is being loaded, and no longer when that fails", async () => {
    const loading = Promise.withResolvers<Servable>();
    const engine = limited(() => loading.promise);
    const failed = assert.rejects(engine.load(model(40)), { code: "LOAD_FAILED" });
    await assert.rejects(engine.load(model(40)), { code: "MEMORY_EXCEEDED" });
    loading.reject(engineError("LOAD_FAILED", "what", "why", "remedy"));
    await failed;
    assert.equal(engine.usedBytes, 0);
  });
});
