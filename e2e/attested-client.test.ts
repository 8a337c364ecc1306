import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT, startTestChain, type TestChain } from "./support/chain.ts";
import { runCli } from "./support/cli.ts";

// The requester's side of a running chain: two replicas behind a gateway that passes TLS through.

describe("a requester attests the replicas of a running chain", () => {
  let running: TestChain;
  let connection: readonly string[] = [];
  before(async () => {
    running = await startTestChain();
    const { gateway, folders } = running.chain;
    const { host, port } = gateway.address;
    connection = ["--address", `${host}:${port}`, "--requester", folders.requester, "--json"];
  });
  after(() => running.close());

  test("cloister infer names the digit, and explains what was verified", async () => {
    const images = join(ROOT, "examples/digits");
    const labels = JSON.parse(await readFile(join(images, "labels.json"), "utf8")) as number[];
    const image = join(images, "images/000.png");
    const { code, stdout, stderr } = await runCli("infer", ...connection, "--image", image, "--explain");
    assert.equal(code, 0, stderr);
    const answer = JSON.parse(stdout) as {
      attested: boolean;
      outputs: { predict: { top: { index: number }[][] } };
      verification: { measurement: string; simulated: boolean; steps: string[] }[];
    };
    assert.equal(answer.attested, true);
    assert.equal(answer.outputs.predict.top[0]?.[0]?.index, labels[0]);
    const [replica] = answer.verification;
    assert.match(replica?.measurement ?? "", /^[0-9a-f]{64}$/);
    assert.equal(replica?.simulated, true);
    assert.ok(replica?.steps.some((step) => step.includes("exporter")));
    assert.ok(replica?.steps.includes("the release of its keys is in the broker's log"));
  });

  test("a requester who has no collateral takes what the replica staples", async () => {
    const { folders, gateway } = running.chain;
    const file = (name: string): string => join(folders.requester, name);
    const { code, stdout, stderr } = await runCli(
      ...["infer", "--address", `${gateway.address.host}:${gateway.address.port}`, "--explain", "--json"],
      ...["--ca", file("ca.pem"), "--cert", file("client.pem"), "--key", file("client-key.pem")],
      ...["--server-name", "grpc.tf-serving.service.com", "--attest", file("policy.json")],
      ...["--trust-anchor", file("trust-anchor.pem")],
    );
    assert.equal(code, 0, stderr);
    const { verification } = JSON.parse(stdout) as { verification: { collateralFrom: string }[] };
    assert.equal(verification[0]?.collateralFrom, "the replica");
  });

  test("a replica whose release another log holds is refused", async () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const foreign = join(running.chain.folders.host, "foreign-log-key.pem");
    await writeFile(foreign, publicKey.export({ type: "spki", format: "pem" }));
    const { code, stdout } = await runCli("infer", ...connection, "--log-key", foreign);
    assert.equal(code, 1);
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, "RELEASE_NOT_LOGGED");
  });

  test("another measurement is refused before anything is asked", async () => {
    const { code, stdout } = await runCli("infer", ...connection, "--mrenclave", "0".repeat(64));
    assert.equal(code, 1);
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, "MEASUREMENT_NOT_ALLOWED");
  });

  test("cloister bench attests every connection, and both replicas answer", async () => {
    const load = ["--loops", "10", "--concurrency", "8"];
    const { code, stdout, stderr } = await runCli("bench", ...connection, ...load);
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout) as { succeeded: number; replicas: object; connectionsAttested: number };
    assert.equal(report.succeeded, 80);
    assert.equal(Object.keys(report.replicas).length, 2);
    assert.equal(report.connectionsAttested, 8);
  });

  test("the original client's two-way command line reaches the chain", async () => {
    const { gateway, requester } = running.chain;
    const { host, port } = gateway.address;
    const files = ["-ca", requester.ca, "-crt", requester.cert ?? "", "-key", requester.key ?? ""];
    const { code, stdout } = await runCli(
      ...["bench", "-url", `${host}:${port}`, ...files, "-batch", "1", "-cnum", "1", "-loop", "2"],
      ...["--server-name", "grpc.tf-serving.service.com"],
    );
    // This chain serves digits, not the original's model: the server is reached, and says so.
    assert.equal(code, 1);
    assert.match(stdout, /failed: NOT_FOUND 2$/m);
  });
});
