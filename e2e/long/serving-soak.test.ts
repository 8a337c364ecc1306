import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createChannel, generateLoad, PredictClient, predictFrame } from "@cloister/client";
import { testCertificates } from "@cloister/model-server/testing";
import { ROOT } from "../support/chain.ts";
import { residentMiB } from "../support/resident-memory.ts";
import { spawnServe, writeSslConfig } from "../support/serve.ts";

const HALF = join(ROOT, "packages/saved-model/test-models/tfserving/saved_model_half_plus_two_2_versions");
/** The soak that a release wants takes ten minutes: CLOISTER_SOAK_SECONDS=600. */
const SECONDS = Number(process.env["CLOISTER_SOAK_SECONDS"] ?? 30);
const SAMPLES = 20;
/** What V8 and the allocator do between two looks. */
const NOISE_MIB = 96;

test("under load from short and long connections, with large, small and bad requests, memory does not grow", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-soak-"));
  const { ca, server } = testCertificates();
  const ssl = await writeSslConfig(folder, server);
  const flags = ["--port=0", "--host=127.0.0.1", "--model_name=half", `--model_base_path=${HALF}`, "--enable_batching"];
  const serve = await spawnServe(folder, [...flags, `--ssl_config_file=${ssl}`]);
  const { pid } = serve.process;
  assert.ok(pid !== undefined);
  const address = { host: "127.0.0.1", port: serve.port };
  // A busy machine is slow to connect, which is not what is looked at here.
  const options = { address, tls: { ca, serverName: "server.test" }, connectTimeoutMs: 60_000 };
  const frameOf = (model: string, length: number): Uint8Array => {
    const x = { dtype: "float", shape: [1, length], data: new Float32Array(length) } as const;
    return predictFrame({ model, inputs: new Map([["x", x]]) });
  };
  const frames = [frameOf("half", 1), frameOf("half", 150_528), frameOf("nobody", 1)];
  const durationMs = SECONDS * 1000;
  const stop = new AbortController();
  const lasting = createChannel({ ...options, connections: 2 });
  const client = new PredictClient(lasting);
  const load = generateLoad((index) => client.predictFrame(frames[index % 3] ?? new Uint8Array(0)), {
    concurrency: 8,
    durationMs,
    signal: stop.signal,
  });
  const comeAndGo = async (): Promise<void> => {
    const endsAt = performance.now() + durationMs;
    while (performance.now() < endsAt && !stop.signal.aborted) {
      const channel = createChannel(options);
      await new PredictClient(channel).predictFrame(frames[0] ?? new Uint8Array(0));
      await channel.close();
    }
  };
  try {
    const coming = comeAndGo();
    const samples: number[] = [];
    for (let sample = 0; sample < SAMPLES; sample++) {
      await sleep(durationMs / SAMPLES);
      samples.push(await residentMiB(pid));
    }
    const { errors, succeeded } = await load;
    await coming;
    assert.ok(succeeded > 0);
    assert.deepEqual([...errors.keys()], ["NOT_FOUND"]);
    // The first half warms up.
    const [early, late] = [samples.slice(SAMPLES / 2, (3 * SAMPLES) / 4), samples.slice((3 * SAMPLES) / 4)];
    const growth = Math.max(...late) - Math.max(...early);
    context.diagnostic(`${succeeded} answers in ${SECONDS} s; MiB resident: ${samples.map(Math.round).join(", ")}`);
    assert.ok(growth < NOISE_MIB, `memory grew by ${growth.toFixed(0)} MiB: ${samples.map(Math.round).join(", ")}`);
  } finally {
    stop.abort();
    await lasting.close();
    serve.process.kill("SIGTERM");
    await once(serve.process, "exit");
    await rm(folder, { recursive: true });
  }
});
