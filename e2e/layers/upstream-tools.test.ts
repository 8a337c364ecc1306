import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { LATEST_VERSION, startModelServer } from "@cloister/model-server";
import { OnnxEngine } from "@cloister/model-server/engine";
import { testCertificates } from "@cloister/model-server/testing";
import { ROOT } from "../support/chain.ts";

// Needs curl, and grpcurl, which CLOISTER_GRPCURL names.

const run = promisify(execFile);
const HALF = join(ROOT, "packages/saved-model/test-models/tfserving/saved_model_half_plus_two_2_versions");
const STATUS = "tensorflow.serving.ModelService/GetModelStatus";
const PREDICT = "tensorflow.serving.PredictionService/Predict";

for (const mode of ["one-way", "mutual"] as const) {
  test(`curl and grpcurl get predictions over ${mode} TLS`, async () => {
    const grpcurl = process.env["CLOISTER_GRPCURL"];
    assert.ok(grpcurl !== undefined && grpcurl !== "", "CLOISTER_GRPCURL is not set");
    const folder = await mkdtemp(join(tmpdir(), "cloister-tools-"));
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const { ca, server: own, client } = testCertificates();
    const server = await startModelServer({
      host: "127.0.0.1",
      port: 0,
      tls: mode === "mutual" ? { ...own, ca, requireClientCertificate: true } : own,
      rest: { host: "127.0.0.1", port: 0 },
      models: [],
      folders: {
        models: [{ name: "half", basePath: HALF, policy: LATEST_VERSION, labels: new Map() }],
        pollMs: 0,
        retries: { maxRetries: 0, intervalMs: 0 },
      },
      engine: new OnnxEngine({ threads: 1 }),
      hasReflection: true,
    });
    try {
      const caFile = await file("ca.pem", ca);
      const [cert, key] = [await file("client.pem", client.cert), await file("client-key.pem", client.key)];
      const url = `https://127.0.0.1:${server.restAddress?.port}/v1/models/half:predict`;
      const shown = mode === "mutual" ? ["--cert", cert, "--key", key] : [];
      const rest = await run("curl", ["-sS", "--cacert", caFile, ...shown, "-d", '{"instances": [2, 3, 4]}', url]);
      assert.deepEqual(JSON.parse(rest.stdout), { predictions: [3, 3.5, 4] });
      const shape = { dim: [{ size: "2" }] };
      const x = { dtype: "DT_FLOAT", tensor_shape: shape, float_val: [2, 4] };
      const identity = mode === "mutual" ? ["-cert", cert, "-key", key] : [];
      const secure = ["-cacert", caFile, "-servername", "server.test", ...identity];
      const address = `127.0.0.1:${server.address.port}`;
      const services = await run(grpcurl, [...secure, address, "list"]);
      assert.match(services.stdout, /^tensorflow\.serving\.PredictionService$/m);
      const reflected = await run(grpcurl, [...secure, "-d", '{"model_spec": {"name": "half"}}', address, STATUS]);
      assert.match(reflected.stdout, /"state": "AVAILABLE"/);
      const { stdout } = await run(grpcurl, [
        ...secure,
        ...["-import-path", join(ROOT, "packages/encoding/proto")],
        ...["-proto", "tensorflow_serving/apis/prediction_service.proto"],
        ...["-d", JSON.stringify({ model_spec: { name: "half" }, inputs: { x } })],
        ...[address, PREDICT],
      ]);
      assert.deepEqual((JSON.parse(stdout) as { outputs: { y: { floatVal: number[] } } }).outputs.y.floatVal, [3, 4]);
      if (mode === "mutual") await assert.rejects(run("curl", ["-sS", "--cacert", caFile, "-d", "{}", url]));
    } finally {
      await server.close();
      await rm(folder, { recursive: true });
    }
  });
}
