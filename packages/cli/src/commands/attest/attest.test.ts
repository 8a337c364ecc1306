import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeCollateral } from "@cloister/attestation";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { startSimulatedPccs } from "@cloister/attestation/simulated-pccs";
import { encodePem } from "@cloister/encoding/pem";
import { startSession } from "../../testing/session.ts";

const VECTORS = fileURLToPath(new URL("../../../../attestation/vectors/dcap", import.meta.url));
const NOW = new Date("2026-03-01T00:00:00Z");
const AT = ["--at", NOW.toISOString()];
const platform = createSimulatedPlatform({ now: NOW });
const enclave = { mrenclave: new Uint8Array(32).fill(0xe1), mrsigner: new Uint8Array(32).fill(0x51) };
const quote = platform.quote({ ...enclave, reportData: new Uint8Array(64) });

const session = startSession();
after(() => session.close());
const cloister = (cwd: string, ...args: readonly string[]) => session.run(cwd, "attest", ...args);

/** A folder with a simulated platform's root, a quote, an RA-TLS certificate and collateral. */
async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-attest-"));
  t.after(() => rm(folder, { recursive: true }));
  const certificate = await createRaTlsCertificate({
    keyPair: generateKeyPairSync("ec", { namedCurve: "P-384" }),
    quote: (reportData) => Promise.resolve(platform.quote({ ...enclave, reportData })),
    notBefore: NOW,
    notAfter: new Date("2026-04-01T00:00:00Z"),
  });
  await writeFile(join(folder, "root.pem"), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(join(folder, "quote.bin"), quote);
  await writeFile(join(folder, "peer.pem"), encodePem("CERTIFICATE", certificate));
  await writeFile(join(folder, "bundle.json"), encodeCollateral(platform.collateral()));
  return folder;
}

const ROOT = ["--trust-anchor", "root.pem"];
const json = (text: string) => JSON.parse(text) as Record<string, unknown>;

test("vectors prints one object a case with exactly the documented members", async (t) => {
  const { code, stdout } = await cloister(await folderOf(t), "vectors", VECTORS, "--json");
  const lines = stdout.trimEnd().split("\n").map(json);
  assert.equal(code, 0);
  assert.equal(lines.length, 317);
  for (const line of lines) assert.deepEqual(Object.keys(line), ["id", "verdict", "code", "tcbStatus", "advisoryIDs"]);
  assert.equal(lines.filter(({ verdict }) => verdict === "crashed").length, 0);
});

test("vectors runs a foreign folder without a crash, and says when a folder has no index", async (t) => {
  const folder = await folderOf(t);
  const index = {
    bundles: { b: { files: { quote: { path: "quote.bin" } } } },
    cases: [
      { id: "one", bundle: "b", time: 1 },
      { id: "two", bundle: "nothing", time: 1 },
      { id: "three", bundle: "b", time: "x", patch: [{ file: "quote", op: "shuffle" }] },
    ],
  };
  await writeFile(join(folder, "index.json"), JSON.stringify(index));
  const { code, stdout } = await cloister(folder, "vectors", ".", "--json");
  assert.equal(code, 0);
  const verdicts = stdout
    .trimEnd()
    .split("\n")
    .map((line) => json(line)["verdict"]);
  assert.deepEqual(verdicts, ["rejected", "unsupported", "unsupported"]);
  for (const text of ["{}", "[", '{"bundles":{},"cases":5}']) {
    await writeFile(join(folder, "index.json"), text);
    const refused = await cloister(folder, "vectors", ".");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^VECTORS_NOT_READ: /);
  }
  assert.match((await cloister(folder, "vectors", "/nonexistent")).stderr, /^VECTORS_NOT_READ: /);
});

test("inspect names the kind and shows the content", async (t) => {
  const folder = await folderOf(t);
  for (const [file, kind] of [
    ["quote.bin", "quote"],
    ["peer.pem", "ra-tls-certificate"],
    ["root.pem", "certificate"],
    ["bundle.json", "collateral"],
  ] as const) {
    const { code, stdout } = await cloister(folder, "inspect", file, "--json");
    assert.equal(code, 0);
    assert.equal(json(stdout)["kind"], kind);
  }
  const shown = await cloister(folder, "inspect", "quote.bin");
  assert.match(shown.stdout, /mrenclave +e1e1/);
  assert.match(shown.stdout, /nothing here was verified/);
  await writeFile(join(folder, "noise"), "noise");
  const refused = await cloister(folder, "inspect", "noise");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^ITEM_UNKNOWN: /);
  assert.match((await cloister(folder, "inspect", "missing")).stderr, /^INPUT_NOT_READ: /);
});

test("verify ticks every step of a quote from a bundle, and prints loudly that the root is simulated", async (t) => {
  const folder = await folderOf(t);
  const { code, stdout } = await cloister(folder, "verify", "quote.bin", "--bundle", "bundle.json", ...ROOT, ...AT);
  assert.equal(code, 0);
  assert.match(stdout, /^SIMULATED ROOT TRUSTED: root\.pem/);
  assert.match(stdout, /✓ quote-structure[\s\S]*✓ quote-signature\n✓ tcb-level/);
  assert.match(stdout, /verdict +VERIFIED\n.*SIMULATED/);
  assert.match(stdout, /valid until +2026-03-31/);
});

test("verify refuses a simulated platform whose root was not named, and stops at that step", async (t) => {
  const { code, stdout } = await cloister(await folderOf(t), "verify", "quote.bin", "--bundle", "bundle.json", ...AT);
  assert.equal(code, 1);
  assert.match(stdout, /✓ quote-structure\n✗ trust-anchor\n/);
  assert.match(stdout, /code +PCK_CHAIN_ROOT_NOT_TRUSTED/);
});

test("verify checks an RA-TLS certificate with its binding, in JSON", async (t) => {
  const folder = await folderOf(t);
  const args = ["--bundle", "bundle.json", ...ROOT, "--json"];
  const good = json((await cloister(folder, "verify", "peer.pem", ...args, ...AT)).stdout);
  assert.equal(good["verdict"], "verified");
  assert.deepEqual((good["steps"] as unknown[]).at(-1), { name: "key-binding", ok: true });
  const late = await cloister(folder, "verify", "peer.pem", ...args, "--at", "2026-04-02T00:00:00Z");
  assert.equal(late.code, 1);
  assert.equal(json(late.stdout)["code"], "RA_TLS_EXPIRED");
});

test("verify needs one source of collateral, and something that is evidence", async (t) => {
  const folder = await folderOf(t);
  assert.equal((await cloister(folder, "verify", "quote.bin")).code, 2);
  assert.equal((await cloister(folder, "verify", "quote.bin", "--bundle", "a", "--service", "intel")).code, 2);
  assert.equal((await cloister(folder, "verify", "quote.bin", "--bundle", "a", "--at", "soon")).code, 2);
  const other = await cloister(folder, "verify", "root.pem", "--bundle", "bundle.json", ...AT);
  assert.match(other.stderr, /^EVIDENCE_UNSUPPORTED: /);
  const insecure = join(folder, "qcnl.conf");
  await writeFile(insecure, '{"pccs_url":"https://localhost:1/","use_secure_cert":false}');
  const refused = await cloister(folder, "verify", "quote.bin", "--qcnl", insecure);
  assert.match(refused.stderr, /^QCNL_INSECURE_TLS: /);
});

test("collateral is fetched from a PCCS, kept, shown, exported, imported and used without a network", async (t) => {
  const folder = await folderOf(t);
  const service = await startSimulatedPccs(platform, { clock: () => NOW });
  t.after(() => service.close());
  await writeFile(join(folder, "ca.pem"), service.service.tlsAuthority ?? "");
  const from = ["--service", service.service.url, "--tls-ca", "ca.pem", ...ROOT, ...AT];
  const fetched = await cloister(folder, "collateral", "fetch", "--evidence", "peer.pem", ...from);
  assert.equal(fetched.code, 0, fetched.stderr);
  const name = "sgx-53494d000001-platform-standard.json";
  assert.deepEqual(await readdir(join(folder, "collateral")), [name]);
  const shown = json((await cloister(folder, "collateral", "show", "--json", ...ROOT, ...AT)).stdout);
  assert.equal((shown["sets"] as { verified: boolean }[])[0]?.verified, true);
  assert.equal((await cloister(folder, "collateral", "export", "out", ...ROOT, ...AT)).code, 0);
  assert.equal(
    (await cloister(folder, "collateral", "import", `out/${name}`, "--cache", "in", ...ROOT, ...AT)).code,
    0,
  );
  assert.deepEqual(await readFile(join(folder, "in", name)), await readFile(join(folder, "collateral", name)));
  const offline = await cloister(folder, "verify", "quote.bin", "--bundle", "in", ...ROOT, ...AT);
  assert.match(offline.stdout, /VERIFIED/);
  const live = await cloister(folder, "verify", "quote.bin", ...from);
  assert.match(live.stdout, /VERIFIED/);
  const expired = await cloister(folder, "collateral", "show", ...ROOT, "--at", "2027-01-01");
  assert.equal(expired.code, 1);
  assert.match(expired.stdout, /ROOT_CRL_EXPIRED/);
});

test("verify keeps what it fetched, and works from it while the service is down", async (t) => {
  const folder = await folderOf(t);
  const service = await startSimulatedPccs(platform, { clock: () => NOW });
  await writeFile(join(folder, "ca.pem"), service.service.tlsAuthority ?? "");
  const args = ["--service", service.service.url, "--tls-ca", "ca.pem", "--cache", "kept", ...ROOT, ...AT];
  assert.equal((await cloister(folder, "verify", "quote.bin", ...args)).code, 0);
  await service.close();
  assert.equal((await cloister(folder, "verify", "quote.bin", ...args)).code, 0);
});

test("fetch without the service's authority is refused with a code", async (t) => {
  const folder = await folderOf(t);
  const service = await startSimulatedPccs(platform, { clock: () => NOW });
  t.after(() => service.close());
  const from = ["--service", service.service.url, ...ROOT, ...AT];
  const refused = await cloister(folder, "collateral", "fetch", "--evidence", "quote.bin", ...from, "--json");
  assert.equal(refused.code, 1);
  assert.equal((json(refused.stdout)["error"] as { code: string }).code, "COLLATERAL_SERVICE_UNREACHABLE");
});
