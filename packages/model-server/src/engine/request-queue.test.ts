import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest } from "./engine.ts";
import { engineError } from "./failure.ts";
import { signatureKeys } from "./joint-signature.ts";
import { type Lane, RequestQueue } from "./request-queue.ts";

/** A lane whose requests end when the test says so; they are told apart by their signatures. */
class ManualLane implements Lane {
  readonly running = new Map<string, PromiseWithResolvers<Map<string, Tensor>>>();

  run({ signature: key }: RunRequest): Promise<Map<string, Tensor>> {
    const signature = signatureKeys(key).join();
    const deferred = Promise.withResolvers<Map<string, Tensor>>();
    this.running.set(signature, deferred);
    return deferred.promise;
  }

  async finish(signature: string, error?: Error): Promise<void> {
    const deferred = this.running.get(signature);
    this.running.delete(signature);
    if (error) deferred?.reject(error);
    else deferred?.resolve(new Map());
    await new Promise(setImmediate);
  }

  get signatures(): string[] {
    return [...this.running.keys()];
  }
}

const request = (signature: string, signal?: AbortSignal): RunRequest => ({
  signature,
  inputs: new Map(),
  outputs: [],
  ...(signal && { signal }),
});

describe("the queue of a model", () => {
  it("gives requests to the emptiest lane and starts the rest in the order of their arrival", async () => {
    const lanes = [new ManualLane(), new ManualLane()] as const;
    const queue = new RequestQueue(lanes, 2, 10);
    const answers = ["a", "b", "c", "d", "e", "f"].map((name) => queue.run(request(name)));
    assert.deepEqual(lanes[0].signatures, ["a", "c"]);
    assert.deepEqual(lanes[1].signatures, ["b", "d"]);
    await lanes[1].finish("b");
    assert.deepEqual(lanes[1].signatures, ["d", "e"]);
    for (const [lane, name] of [
      [0, "a"],
      [0, "c"],
      [1, "d"],
      [1, "e"],
    ] as const)
      await lanes[lane].finish(name);
    await Promise.all([lanes[0].finish("f"), lanes[1].finish("f")]);
    await Promise.all(answers);
  });

  it("refuses what its bound leaves no place for, and takes requests again when there is one", async () => {
    const lane = new ManualLane();
    const queue = new RequestQueue([lane], 1, 1);
    const [running, waiting] = [queue.run(request("a")), queue.run(request("b"))];
    await assert.rejects(queue.run(request("c")), { code: "QUEUE_FULL" });
    await lane.finish("a");
    const next = queue.run(request("d"));
    await lane.finish("b");
    await lane.finish("d");
    await Promise.all([running, waiting, next]);
  });

  it("takes a cancelled request out, and drops the answer of one that runs", async () => {
    const lane = new ManualLane();
    const queue = new RequestQueue([lane], 1, 10);
    const [first, second] = [new AbortController(), new AbortController()];
    const running = queue.run(request("a", first.signal));
    const waiting = queue.run(request("b", second.signal));
    const last = queue.run(request("c"));
    second.abort();
    first.abort();
    await assert.rejects(waiting, { code: "CANCELLED" });
    await assert.rejects(running, { code: "CANCELLED" });
    assert.deepEqual(lane.signatures, ["a"]);
    await lane.finish("a");
    assert.deepEqual(lane.signatures, ["c"]);
    await lane.finish("c");
    await last;
    await assert.rejects(queue.run(request("d", second.signal)), { code: "CANCELLED" });
  });

  it("passes a failure to its request only", async () => {
    const lane = new ManualLane();
    const queue = new RequestQueue([lane], 2, 10);
    const [bad, good] = [queue.run(request("a")), queue.run(request("b"))];
    const failed = assert.rejects(bad, { code: "INPUT_INVALID" });
    await lane.finish("a", engineError("INPUT_INVALID", "what", "why", "remedy"));
    await failed;
    await lane.finish("b");
    await good;
  });

  it("refuses what waits when it is closed, and waits for what runs", async () => {
    const lane = new ManualLane();
    const queue = new RequestQueue([lane], 1, 10);
    const running = queue.run(request("a"));
    const refused = assert.rejects(queue.run(request("b")), { code: "CLOSED" });
    let isClosed = false;
    const closing = queue.close().then(() => (isClosed = true));
    await refused;
    await assert.rejects(queue.run(request("c")), { code: "CLOSED" });
    assert.equal(isClosed, false);
    await lane.finish("a");
    await Promise.all([running, closing]);
  });
});
