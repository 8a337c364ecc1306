import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Servable } from "../engine/engine.ts";
import { ModelServerError } from "../errors.ts";
import { ModelRegistry } from "../serving/registry.ts";
import { directorySource } from "../sources/directory.ts";
import { elementwiseEngine } from "../testing/elementwise-engine.ts";
import type { LifecycleEvent } from "./aspired-model.ts";
import { LATEST_VERSION, type ServedModel, type VersionPolicy } from "./model-config.ts";
import { ModelManager, type ModelManagerOptions } from "./model-manager.ts";

interface Bed {
  readonly base: string;
  readonly registry: ModelRegistry;
  readonly manager: ModelManager;
  readonly events: LifecycleEvent[];
  /** Loads and closes in order, as `+version` and `-version`. */
  readonly trace: string[];
  readonly put: (version: string, broken?: boolean) => Promise<void>;
  readonly served: (policy?: VersionPolicy, labels?: Record<string, bigint>) => ServedModel;
}

async function bed(context: TestContext, options: Partial<ModelManagerOptions> = {}): Promise<Bed> {
  const base = await mkdtemp(join(tmpdir(), "cloister-lifecycle-"));
  const registry = new ModelRegistry();
  const events: LifecycleEvent[] = [];
  const trace: string[] = [];
  const engine = elementwiseEngine();
  const manager = new ModelManager({
    registry,
    source: directorySource,
    load: async (_model, version, files): Promise<Servable> => {
      const servable = await engine.load(files);
      trace.push(`+${version}`);
      return {
        ...servable,
        close: async () => {
          trace.push(`-${version}`);
        },
      };
    },
    retries: { maxRetries: 0, intervalMs: 1 },
    pollMs: 0,
    allowLabelsForUnavailable: false,
    report: (event) => events.push(event),
    ...options,
  });
  context.after(async () => {
    manager.close();
    await rm(base, { recursive: true });
  });
  return {
    base,
    registry,
    manager,
    events,
    trace,
    put: async (version, broken = false) => {
      await mkdir(join(base, version), { recursive: true });
      await writeFile(join(base, version, broken ? "fail" : "saved_model.pb"), "");
    },
    served: (policy = LATEST_VERSION, labels = {}) => ({
      name: "m",
      basePath: base,
      policy,
      labels: new Map(Object.entries(labels)),
    }),
  };
}

const states = (registry: ModelRegistry) => registry.status("m").map(({ version, state }) => `${version} ${state}`);
const hasCode = (code: string) => (error: unknown) => error instanceof ModelServerError && error.code === code;

test("a newer version is loaded before the older one goes, and the old one stays in the status", async (context) => {
  const { manager, registry, served, put, trace } = await bed(context);
  await put("00000123");
  await manager.apply([served()]);
  assert.deepEqual(states(registry), ["123 AVAILABLE"]);
  await put("124");
  await manager.apply([served()]);
  assert.deepEqual(states(registry), ["124 AVAILABLE", "123 END"]);
  assert.deepEqual(trace, ["+123", "+124", "-123"]);
});

test("all and specific versions are served, the highest loaded first, and those that are not there are told", async (context) => {
  const { manager, registry, served, put, trace, events } = await bed(context);
  for (const version of ["1", "2", "3"]) await put(version);
  await manager.apply([served({ kind: "all" })]);
  assert.deepEqual(trace, ["+3", "+2", "+1"]);
  await manager.apply([served({ kind: "specific", versions: [2n, 9n] })]);
  assert.deepEqual(states(registry), ["3 END", "2 AVAILABLE", "1 END"]);
  assert.deepEqual(trace.slice(3), ["-1", "-3"]);
  const missing = events.filter(({ event }) => event === "version_missing");
  assert.deepEqual(missing, [{ event: "version_missing", model: "m", version: 9n }]);
});

test("folders are followed without a new configuration", async (context) => {
  const { manager, registry, served, put } = await bed(context, { pollMs: 10 });
  await put("1");
  await manager.apply([served()]);
  await put("2");
  for (let turn = 0; turn < 4000 && registry.stateOf("m", 2n) !== "AVAILABLE"; turn++) await sleep(10);
  assert.equal(registry.acquire({ name: "m", signatureName: "" }).version, 2n);
});

test("a base path that goes away changes nothing, an empty one unloads everything", async (context) => {
  const { base, manager, registry, served, put, events } = await bed(context);
  await put("1");
  await manager.apply([served()]);
  await rm(base, { recursive: true });
  await manager.poll();
  assert.deepEqual(states(registry), ["1 AVAILABLE"]);
  assert.equal(events.at(-1)?.event, "base_path_missing");
  await mkdir(base);
  await manager.poll();
  for (let turn = 0; turn < 4000 && registry.stateOf("m", 1n) !== "END"; turn++) await sleep(5);
  assert.deepEqual(states(registry), ["1 END"]);
});

test("a version that fails is tried again as often as asked, then told; the old version goes on", async (context) => {
  const { manager, registry, served, put, events } = await bed(context, { retries: { maxRetries: 2, intervalMs: 1 } });
  await put("1");
  await manager.apply([served()]);
  await put("2", true);
  await manager.apply([served()]);
  assert.deepEqual(states(registry), ["2 END", "1 AVAILABLE"]);
  assert.ok(registry.status("m", 2n)[0]?.error);
  const failures = events.filter(({ event }) => event === "load_failed");
  assert.deepEqual(
    failures.map((event) => event.event === "load_failed" && event.isFinal),
    [false, false, true],
  );
});

test("a configuration whose only version fails is refused with the name of it", async (context) => {
  const { manager, served, put } = await bed(context);
  await put("1", true);
  await assert.rejects(manager.apply([served()]), (error: unknown) => {
    assert.ok(hasCode("UNKNOWN")(error) && error instanceof Error);
    assert.match(error.message, /1 servable\(s\) did not become available: \{\{name: m version: 1\}\}/);
    return true;
  });
});

test("a retry stops when the version is no longer wanted", async (context) => {
  const { manager, registry, served, put } = await bed(context, { retries: { maxRetries: 5, intervalMs: 60_000 } });
  await put("1", true);
  const applied = manager.apply([served()]);
  while (registry.stateOf("m", 1n) !== "LOADING") await sleep(1);
  await put("2");
  await manager.apply([served()]);
  await applied;
  assert.deepEqual(states(registry), ["2 AVAILABLE", "1 END"]);
});

test("a model that is no longer configured is unloaded, and waits for calls that use it", async (context) => {
  const { manager, registry, served, put, trace } = await bed(context);
  await put("1");
  await manager.apply([served()]);
  const handle = registry.acquire({ name: "m", signatureName: "" });
  await manager.apply([]);
  for (let turn = 0; turn < 4000 && registry.stateOf("m", 1n) === "AVAILABLE"; turn++) await sleep(5);
  assert.deepEqual([states(registry), trace], [["1 UNLOADING"], ["+1"]]);
  handle.release();
  for (let turn = 0; turn < 4000 && registry.stateOf("m", 1n) !== "END"; turn++) await sleep(5);
  assert.deepEqual([states(registry), trace], [["1 END"], ["+1", "-1"]]);
});

test("labels name versions that are available, and move with a new configuration", async (context) => {
  const { manager, registry, served, put } = await bed(context);
  const all: VersionPolicy = { kind: "all" };
  await put("1");
  await put("2");
  await assert.rejects(manager.apply([served(all, { stable: 1n })]), hasCode("FAILED_PRECONDITION"));
  await manager.apply([served(all)]);
  await manager.apply([served(all, { stable: 1n })]);
  const reference = { name: "m", signatureName: "", versionLabel: "stable" };
  assert.equal(registry.acquire(reference).version, 1n);
  await manager.apply([served(all, { stable: 2n })]);
  assert.equal(registry.acquire(reference).version, 2n);
  await assert.rejects(manager.apply([served(all, { stable: 3n })]), hasCode("FAILED_PRECONDITION"));
  assert.throws(() => registry.acquire({ ...reference, versionLabel: "other" }), hasCode("INVALID_ARGUMENT"));
});

test("with the flag for it, new labels may name versions that are not there, but do not move to them", async (context) => {
  const { manager, registry, served, put } = await bed(context, { allowLabelsForUnavailable: true });
  await put("1");
  await manager.apply([served(undefined, { stable: 1n, next: 2n })]);
  assert.equal(registry.acquire({ name: "m", signatureName: "", versionLabel: "stable" }).version, 1n);
  await assert.rejects(manager.apply([served(undefined, { stable: 2n })]), hasCode("FAILED_PRECONDITION"));
});
