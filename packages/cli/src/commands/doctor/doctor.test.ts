import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { encodeCollateral } from "@cloister/attestation";
import { PRESETS } from "@cloister/attestation/qcnl";
import { CLOUDS } from "@cloister/enclave/doctor";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { startSimulatedPccs } from "@cloister/attestation/simulated-pccs";
import { encodePem } from "@cloister/encoding/pem";
import { startSession } from "../../testing/session.ts";
import { showCloud } from "./output.ts";

const session = startSession();
after(() => session.close());
const cloister = (...args: readonly string[]) => session.run(tmpdir(), "doctor", ...args);

interface Report {
  readonly ok: boolean;
  readonly findings: readonly { readonly check: string; readonly severity: string; readonly found: string }[];
}

test("doctor reports every check in JSON, and in text with marks", async () => {
  const { code, stdout } = await cloister("--json");
  const report = JSON.parse(stdout) as Report;
  assert.equal(code, report.ok ? 0 : 1);
  for (const check of ["node", "clock", "nginx", "kernel", "sgx-enclave-device", "aesm", "tdx-device"]) {
    assert.ok(
      report.findings.some((finding) => finding.check === check),
      check,
    );
  }
  assert.match((await cloister()).stdout, /[✓✗] node +Node\.js/);
});

test("doctor looks at a service, stored collateral and this machine's TCB", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-doctor-"));
  t.after(() => rm(folder, { recursive: true }));
  const now = new Date();
  const platform = createSimulatedPlatform({ now });
  const service = await startSimulatedPccs(platform, { clock: () => now });
  t.after(() => service.close());
  const quote = platform.quote({
    reportData: new Uint8Array(64),
    mrenclave: new Uint8Array(32),
    mrsigner: new Uint8Array(32),
    tcbLevel: "OutOfDate",
  });
  const path = (name: string): string => join(folder, name);
  await writeFile(path("root.pem"), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(path("set.json"), encodeCollateral(platform.collateral({ validityDays: 3 })));
  await writeFile(path("quote.bin"), quote);
  await writeFile(path("ca.pem"), service.service.tlsAuthority ?? "");
  const { stdout } = await cloister(
    ...["--service", service.service.url, "--tls-ca", path("ca.pem"), "--collateral", path("set.json")],
    ...["--evidence", path("quote.bin"), "--trust-anchor", path("root.pem"), "--for", "verifier", "--json"],
  );
  const { findings } = JSON.parse(stdout) as Report;
  const severity = (check: string) => findings.find((finding) => finding.check === check)?.severity;
  assert.equal(severity("collateral-service"), "ok");
  assert.equal(severity("collateral"), "warning");
  assert.equal(severity("tcb"), "warning");
  assert.match(findings.find(({ check }) => check === "tcb")?.found ?? "", /SIMULATED.*OutOfDate/);
});

test("doctor explain tells cause and remedy of a number, and refuses unknown ones with a code", async () => {
  const { code, stdout } = await cloister("explain", "57372");
  assert.equal(code, 0);
  assert.match(stdout, /QUOTE_CERTIFICATION_DATA_UNSUPPORTED[\s\S]*cause: [\s\S]*remedy: /);
  const negative = await cloister("explain", "--json", "--", "-30592");
  const { meanings } = JSON.parse(negative.stdout) as { meanings: { name: string }[] };
  assert.equal(meanings[0]?.name, "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE");
  const all = JSON.parse((await cloister("explain", "--json")).stdout) as { meanings: unknown[] };
  assert.ok(all.meanings.length > 60);
  const unknown = await cloister("explain", "1234567");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /^ERROR_NUMBER_UNKNOWN: /);
});

test("doctor knows what to expect of a provider's machines, and has a guide for each", async () => {
  for (const [name, cloud] of Object.entries(CLOUDS)) {
    const guide = await readFile(join(import.meta.dirname, "../../../../..", cloud.guide), "utf8");
    const lines: string[] = [];
    showCloud({ line: (text = "") => void lines.push(text) }, cloud);
    assert.ok(guide.includes(lines.join("\n")), `the guide shows what doctor prints: ${name}`);
    assert.ok(guide.includes(`cloister doctor --for sgx --cloud ${name}`), name);
    assert.ok(PRESETS.has(cloud.service), name);
  }
  assert.equal((await cloister("--cloud", "somewhere")).code, 2);
});
