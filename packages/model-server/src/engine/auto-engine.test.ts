import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SavedModelError } from "@cloister/saved-model";
import { AutoEngine, type EngineFallback } from "./auto-engine.ts";
import type { Engine, Servable } from "./engine.ts";

const refusal = (code: "PROTO_MALFORMED" | "UNSUPPORTED_OPS") =>
  new SavedModelError(code, { what: "no", why: "missing ops: DecodeWav", remedy: "none" });

function servable(unsupported: Record<string, string> = {}, onClose = () => {}): Servable {
  return {
    signatures: new Map(),
    unsupported: new Map(Object.entries(unsupported)),
    run: () => Promise.resolve(new Map()),
    close: () => Promise.resolve(onClose()),
  };
}

const engine = (name: string, load: () => Servable): Engine => ({
  name,
  load: () => Promise.resolve().then(load),
});

function setUp(load: () => Servable, isInstalled = true) {
  const fallbacks: EngineFallback[] = [];
  const fromSecond = servable();
  const auto = new AutoEngine({
    first: engine("onnx", load),
    second: engine("tensorflow", () => fromSecond),
    hasSecond: () => Promise.resolve(isInstalled),
    onFallback: (fallback) => fallbacks.push(fallback),
  });
  return { load: () => auto.load(new Map()), fallbacks, fromSecond };
}

const refuse = (code: "PROTO_MALFORMED" | "UNSUPPORTED_OPS") => () => {
  throw refusal(code);
};

describe("the engine auto", () => {
  it("stays with the first engine where that runs everything", async () => {
    const own = servable();
    const { load, fallbacks } = setUp(() => own);
    assert.equal(await load(), own);
    assert.deepEqual(fallbacks, []);
  });

  it("falls to the second where no signature runs, and tells what was missing", async () => {
    const { load, fallbacks, fromSecond } = setUp(refuse("UNSUPPORTED_OPS"));
    assert.equal(await load(), fromSecond);
    assert.deepEqual(fallbacks, [{ from: "onnx", to: "tensorflow", reason: "missing ops: DecodeWav" }]);
  });

  it("falls to the second where one signature does not run, and closes what the first had loaded", async () => {
    let closed = 0;
    const { load, fallbacks, fromSecond } = setUp(() => servable({ listen: "missing ops: DecodeWav" }, () => closed++));
    assert.equal(await load(), fromSecond);
    assert.equal(closed, 1);
    assert.equal(fallbacks[0]?.reason, "listen: missing ops: DecodeWav");
  });

  it("keeps what the first can run where the second is not installed", async () => {
    const partly = servable({ listen: "missing ops: DecodeWav" });
    const { load, fallbacks } = setUp(() => partly, false);
    assert.equal(await load(), partly);
    assert.deepEqual(fallbacks, []);
  });

  it("passes the refusal on where the second is not installed", async () => {
    await assert.rejects(setUp(refuse("UNSUPPORTED_OPS"), false).load(), { code: "UNSUPPORTED_OPS" });
  });

  it("does not try a broken model on the second", async () => {
    const { load, fallbacks } = setUp(refuse("PROTO_MALFORMED"));
    await assert.rejects(load(), { code: "PROTO_MALFORMED" });
    assert.deepEqual(fallbacks, []);
  });
});
