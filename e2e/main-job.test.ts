import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ChainReport } from "@cloister/deploy";
import { runCli } from "./support/cli.ts";

// What a user gets: `cloister up` as a program of its own, judged by its report and its exit code.

const FREE_PORTS = ["--port", "0", "--broker-port", "0", "--gateway", "built-in"];

async function up(...args: readonly string[]): Promise<{ code: number | null; report: ChainReport; stderr: string }> {
  const { code, stdout, stderr } = await runCli("up", "--json", ...FREE_PORTS, ...args);
  assert.equal(stdout.trimEnd().split("\n").length, 1, `one JSON document is expected, not: ${stdout} ${stderr}`);
  return { code, report: JSON.parse(stdout) as ChainReport, stderr };
}

describe("cloister up", () => {
  test("serves the digits right, through two attested replicas, and refuses every attack with a code of its own", async () => {
    const { code, report } = await up("--attacks", "--requests", "1000");
    assert.equal(code, 0);
    assert.equal(report.ok, true);
    assert.equal(report.simulated, true);
    assert.deepEqual(
      report.steps.map(({ name }) => name),
      ["import", "certificates", "seal", "broker", "gateway", "replicas", "inference", "attacks"],
    );

    assert.deepEqual(report.replicas.map(({ id }) => id).sort(), ["replica-1", "replica-2"]);
    for (const { measurement, platform } of report.replicas) {
      assert.match(measurement, /^[0-9a-f]{64}$/);
      assert.equal(platform, "SIMULATED");
    }

    const { requests, correct, equal, failed, p50Ms, p99Ms, perSecond } = report.inference;
    assert.equal(requests, 1000);
    assert.equal(failed, 0);
    assert.equal(equal, 1000, "every answer equals TensorFlow's within 1e-5");
    assert.ok(correct >= 970, `at least 97 of each 100 images are right, not ${correct} of 1000`);
    assert.ok(p50Ms > 0 && p99Ms >= p50Ms && perSecond > 0);

    assert.equal(report.attacks.length, 13);
    for (const { name, refused, code: refusal } of report.attacks) {
      assert.ok(refused, `the attack ${name} succeeded`);
      assert.match(refusal ?? "", /^[A-Z][A-Z0-9_]+$/);
    }
    const codes = report.attacks.map(({ code: refusal }) => refusal);
    assert.equal(new Set(codes).size, codes.length, `each attack has a code of its own, not ${codes.join(", ")}`);
  });

  test("serves a frozen graph over one-way TLS with one replica", async () => {
    const { code, report } = await up(
      "--model",
      new URL("../examples/digits/frozen/digits.pb", import.meta.url).pathname,
      ...["--name", "frozen-digits", "--tls", "one-way", "--replicas", "1", "--requests", "20"],
    );
    assert.equal(code, 0);
    assert.equal(report.replicas.length, 1);
    assert.equal(report.inference.equal, 20);
  });

  test("names the model that is not there, and ends with 1", async () => {
    const { code, report } = await up("--model", "no/such/model");
    assert.equal(code, 1);
    assert.equal((report as unknown as { error: { code: string } }).error.code, "MODEL_NOT_FOUND");
  });

  for (const args of [["up", "--replicas", "none"], ["up", "--tls", "off"], ["up", "--no-such-option"], ["fly"]]) {
    test(`ends with 2 for the usage error: cloister ${args.join(" ")}`, async () => {
      assert.equal((await runCli(...args)).code, 2);
    });
  }

  test("says SIMULATED to people before anything else", async () => {
    const { stdout } = await runCli("up", ...FREE_PORTS, "--replicas", "1", "--requests", "10");
    assert.match(stdout.split("\n").slice(0, 3).join("\n"), /SIMULATED/);
    assert.match(stdout.trimEnd().split("\n").at(-1) ?? "", /^ok in .* SIMULATED/);
  });
});
