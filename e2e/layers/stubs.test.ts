import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { decodeCollateral } from "@cloister/attestation";
import { type AttestationOptions, type ChannelTls, imageToTensor, pinnedPolicy } from "@cloister/client";
import { attestedCredentials } from "@cloister/client/grpc-js";
import type { Chain } from "@cloister/deploy";
import { utf8 } from "@cloister/encoding";
import { GRPC_STATUS } from "@cloister/encoding/grpc";
import { parsePolicy } from "@cloister/policy";
import { ROOT, startTestChain } from "../support/chain.ts";
import { callStub, officialNodeStubs } from "../support/node-stubs.ts";

// Needs a Python with TensorFlow and the official TensorFlow Serving stubs: CLOISTER_ORACLE_PYTHON names it.

const run = promisify(execFile);
const DIGITS = join(ROOT, "examples/digits");
const SERVER_NAME = "grpc.tf-serving.service.com";

function oraclePython(): string {
  const python = process.env["CLOISTER_ORACLE_PYTHON"];
  assert.ok(python !== undefined && python !== "", "CLOISTER_ORACLE_PYTHON is not set");
  return python;
}

for (const tls of ["mutual", "one-way"] as const) {
  test(`TensorFlow Serving's official Python stubs get TensorFlow's answers over ${tls} TLS`, async () => {
    const python = oraclePython();
    const { chain, close } = await startTestChain({ tls });
    try {
      const { address } = chain.gateway;
      const { ca, cert, key } = chain.requester;
      const identity = cert === undefined || key === undefined ? [] : ["--cert", cert, "--key", key];
      const { stdout } = await run(python, [
        join(ROOT, "e2e/oracle/check_server.py"),
        ...["--address", `${address.host}:${address.port}`, "--ca", ca, ...identity],
        ...["--server-name", SERVER_NAME, "--model", "digits"],
        ...["--images", join(DIGITS, "images"), "--golden", join(DIGITS, "golden.json")],
      ]);
      assert.match(stdout, /100/);
    } finally {
      await close();
    }
  });
}

/** What a stub's Predict sends: one picture or more, as TensorFlow's own helper writes tensors. */
function predictRequest(images: readonly Float32Array[], model = "digits"): object {
  const tensor_content = Buffer.concat(
    images.map((image) => Buffer.from(image.buffer, image.byteOffset, image.byteLength)),
  );
  const dim = [images.length, 8, 8, 1].map((size) => ({ size }));
  const value = { dtype: "DT_FLOAT", tensor_shape: { dim }, tensor_content };
  return { model_spec: { name: model }, inputs: [{ key: "input", value }] };
}

function assertScores(response: Record<string, unknown>, expected: readonly number[]): void {
  const { outputs } = response as { outputs: [{ key: string; value: { float_val: number[] } }] };
  assert.deepEqual(
    outputs.map(({ key }) => key),
    ["predict"],
  );
  const scores = outputs[0].value.float_val;
  assert.equal(scores.length, expected.length);
  expected.forEach((value, index) => assert.ok(Math.abs((scores[index] ?? NaN) - value) < 1e-5));
}

for (const tls of ["mutual", "one-way"] as const) {
  test(`the official stubs on grpc-js get TensorFlow's answers from attested replicas over ${tls} TLS`, async () => {
    const { PredictionService, ModelService } = await officialNodeStubs(oraclePython());
    const { chain, close } = await startTestChain({ tls });
    const verified = new Set<string>();
    const refused: string[] = [];
    const attestation: AttestationOptions = {
      ...(await requesterTrust(chain.folders.requester)),
      onVerified: ({ publicKeySha256 }) => verified.add(publicKeySha256),
      onRefused: ({ code }) => refused.push(code),
    };
    const trust = { ...(await readTls(chain.requester)), serverName: SERVER_NAME };
    const address = `${chain.gateway.address.host}:${chain.gateway.address.port}`;
    const credentials = attestedCredentials(trust, attestation);
    const prediction = new PredictionService(address, credentials);
    const models = new ModelService(address, credentials);
    // The same service to somebody who trusts another program.
    const anchors = attestation.anchors;
    const wrong = { ...attestation, policy: pinnedPolicy("0".repeat(64), anchors) };
    const distrustful = new PredictionService(address, attestedCredentials(trust, wrong));
    try {
      const status = await callStub(models, "GetModelStatus", { model_spec: { name: "digits" } });
      const versions = status["model_version_status"] as { version: number; state: string }[];
      assert.deepEqual(
        versions.map(({ version, state }) => [version, state]),
        [[1, "AVAILABLE"]],
      );
      const { images, rows } = await readDigits();
      for (const [index, image] of images.entries())
        assertScores(await callStub(prediction, "Predict", predictRequest([image])), rows[index] ?? []);
      assertScores(await callStub(prediction, "Predict", predictRequest(images)), rows.flat());
      await assert.rejects(
        callStub(prediction, "Predict", predictRequest(images.slice(0, 1), "digits-that-is-not-there")),
        {
          code: GRPC_STATUS.NOT_FOUND,
        },
      );
      assert.ok(verified.size > 0);
      assert.deepEqual(refused, []);
      await assert.rejects(callStub(distrustful, "Predict", predictRequest(images.slice(0, 1))), {
        code: GRPC_STATUS.UNAVAILABLE,
      });
      assert.ok(refused.length > 0 && refused.every((code) => code === "MEASUREMENT_NOT_ALLOWED"));
    } finally {
      for (const stub of [prediction, models, distrustful]) stub.close();
      await close();
    }
  });
}

async function readDigits(): Promise<{ images: readonly Float32Array[]; rows: readonly number[][] }> {
  const golden = JSON.parse(await readFile(join(DIGITS, "golden.json"), "utf8")) as { probabilities: number[][] };
  const names = (await readdir(join(DIGITS, "images"))).filter((name) => name.endsWith(".png")).toSorted();
  const images = names.map(async (name) => {
    const picture = await readFile(join(DIGITS, "images", name));
    const { data } = await imageToTensor(picture, { width: 8, height: 8, channels: "grayscale" });
    return data as Float32Array;
  });
  return { images: await Promise.all(images), rows: golden.probabilities };
}

/** What `cloister up` gives a requester to judge replicas by. */
async function requesterTrust(folder: string): Promise<AttestationOptions> {
  const [anchorPem, policy, collateral] = await Promise.all(
    ["trust-anchor.pem", "policy.json", "collateral.json"].map((name) => readFile(join(folder, name), "utf8")),
  );
  const certificate = new Uint8Array(new X509Certificate(anchorPem ?? "").raw);
  const kept = decodeCollateral(utf8(collateral ?? ""));
  return {
    anchors: [{ name: "simulated", kind: "simulated", certificate }],
    policy: parsePolicy(JSON.parse(policy ?? "")),
    collateral: () => Promise.resolve(kept),
  };
}

async function readTls({ ca, cert, key }: Chain["requester"]): Promise<ChannelTls> {
  const [caPem, certPem, keyPem] = await Promise.all(
    [ca, cert, key].map(async (path) => (path === undefined ? undefined : readFile(path, "utf8"))),
  );
  return {
    ...(caPem !== undefined && { ca: caPem }),
    ...(certPem !== undefined && { cert: certPem }),
    ...(keyPem !== undefined && { key: keyPem }),
  };
}
