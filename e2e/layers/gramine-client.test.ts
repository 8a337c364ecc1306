import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { toHex } from "@cloister/encoding";
import { createTestAuthority } from "../../packages/broker/src/testing/authority.ts";
import { type Harness, logged, startHarness, WRAP_KEY } from "../../packages/broker/src/testing/harness.ts";
import { MRENCLAVE } from "../../packages/broker/src/testing/stock-client.ts";
import { type GramineDevice, startGramineDevice } from "../support/gramine-device/start.ts";

// Gramine's own client library, as its packages install it, gets its key from the broker. It is in no registry that CI may use, so
// this runs where somebody names it; without it every test fails. What it reads and writes is the stand-in for /dev/attestation.

const LIBRARY = "CLOISTER_SECRET_PROV_LIBRARY";
const CLOSED = "localhost:9";

const run = promisify(execFile);
let library: string;

type Paths = [string, string, string];

before(() => {
  const named = process.env[LIBRARY];
  assert.ok(named, `Set ${LIBRARY} to the path of libsecret_prov_attest.so: Gramine's packages install it.`);
  library = named;
});

interface Attempt {
  readonly device: GramineDevice;
  readonly harness: Harness;
  /** Preloads the library into a program that does nothing: what the library does, it does before `main`. */
  readonly start: (servers: string) => Promise<void>;
}

/** A broker, and Gramine's files for a program with that measurement. */
async function prepare(t: TestContext, mrenclave: Uint8Array): Promise<Attempt> {
  const authority = createTestAuthority();
  const harness = await startHarness(t, () => ({ tls: authority.server("localhost") }));
  const folder = await mkdtemp(join(tmpdir(), "cloister-gramine-client-"));
  t.after(() => rm(folder, { recursive: true }));
  const [platform, measured, ca] = ["platform", "mrenclave", "ca.pem"].map((name) => join(folder, name)) as Paths;
  await writeFile(platform, harness.platform.save().reveal(), { mode: 0o600 });
  await writeFile(measured, toHex(mrenclave));
  await writeFile(ca, authority.certificatePem);
  const device = await startGramineDevice({ platform, mrenclave: measured, keys: ["default"] });
  t.after(() => device.stop());
  const start = async (servers: string): Promise<void> => {
    const [program = "", ...words] = device.enter;
    const settings = [
      `LD_PRELOAD=${library}`,
      "SECRET_PROVISION_CONSTRUCTOR=1",
      "SECRET_PROVISION_SET_KEY=default",
      `SECRET_PROVISION_CA_CHAIN_PATH=${ca}`,
      `SECRET_PROVISION_SERVERS=${servers}`,
    ];
    await run(program, [...words, "env", ...settings, "true"], { timeout: 60_000 });
  };
  return { device, harness, start };
}

test("Gramine's own client library gets its key", async (t) => {
  const { device, harness, start } = await prepare(t, MRENCLAVE);
  await start(`localhost:${harness.server.port}`);
  assert.equal(await device.key(), toHex(WRAP_KEY));
});

test("Gramine's own client library goes past an address where nobody listens", async (t) => {
  const { device, harness, start } = await prepare(t, MRENCLAVE);
  await start(`${CLOSED},localhost:${harness.server.port}`);
  assert.equal(await device.key(), toHex(WRAP_KEY));
});

test("Gramine's own client library gets nothing for an enclave that the policy does not name", async (t) => {
  const { harness, start } = await prepare(t, new Uint8Array(32).fill(7));
  // The library ends the program since Gramine 1.3, and lets it go on without a key before.
  await start(`localhost:${harness.server.port}`).catch(() => undefined);
  const decisions = (await logged(harness.log)).map(({ decision }) => decision);
  assert.deepEqual(decisions, ["refused"]);
});
