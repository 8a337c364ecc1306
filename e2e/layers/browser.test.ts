import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { encodeCollateral } from "@cloister/attestation";
import type * as WebcryptoVerifier from "@cloister/attestation/webcrypto";
import type * as BrowserClient from "@cloister/client/browser";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { readVectorFolder, runVectorFolder } from "@cloister/attestation/vector-folder";
import { generateSessionKey } from "@cloister/encoding/sealed-records";
import {
  decodeSessionResponse,
  encodeSessionResponse,
  SEALED_PATH,
  SESSION_PATH,
} from "@cloister/encoding/sealed-session";
import { type ModelServer, startModelServer } from "@cloister/model-server";
import { elementwiseEngine, testCertificates } from "@cloister/model-server/testing";
import { type BrowserPage, openPage } from "../support/browser.ts";
import { ROOT } from "../support/chain.ts";
import { startTlsRelay, type Tamper } from "../support/tls-relay.ts";

// The client in Chromium, on a page of another origin than the replica's. Needs Debian's chromium; without it, it fails.

const MRENCLAVE = new Uint8Array(32).fill(0x11);
const MARKER = "4242.4242";
const certificates = testCertificates();
const platform = createSimulatedPlatform({ now: new Date() });
const quote = (reportData: Uint8Array): Uint8Array =>
  platform.quote({ reportData, mrenclave: MRENCLAVE, mrsigner: new Uint8Array(32) });
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

let replica: ModelServer;
let browser: BrowserPage;
before(async () => {
  replica = await startModelServer({
    host: "127.0.0.1",
    port: 0,
    tls: certificates.server,
    rest: { host: "127.0.0.1", port: 0, allowsCors: true },
    evidence: {
      quote: (reportData) => Promise.resolve(quote(reportData)),
      collateral: () => Promise.resolve(encodeCollateral(platform.collateralFor(quote(new Uint8Array(64))))),
    },
    models: [{ name: "half", version: 1, files: new Map() }],
    engine: elementwiseEngine(),
    replicaId: "replica-1",
  });
  browser = await openPage(["@cloister/client/browser", "@cloister/attestation/webcrypto"]);
});
after(() => Promise.all([browser.close(), replica.close()]));

const unchanged: Tamper = (_path, answer) => answer;
const restPort = (): number => replica.restAddress?.port ?? 0;

/** What the page knows beforehand, as the page's author would write it into the page. */
interface Known {
  readonly url: string;
  readonly anchor: string;
  readonly mrenclave: string;
}

const known = (changes: Partial<Known> = {}): Known => ({
  url: `https://127.0.0.1:${restPort()}`,
  anchor: base64(platform.trustAnchor.certificate),
  mrenclave: Buffer.from(MRENCLAVE).toString("hex"),
  ...changes,
});

/** Runs in the page: one prediction in a sealed session. */
async function predictInPage({ url, anchor, mrenclave }: Known) {
  const name = "@cloister/client/browser";
  const { ClientError, createSealedChannel, createSealedRestTransport, pinnedPolicy, PredictClient, RestClient } =
    (await import(name)) as typeof BrowserClient;
  const certificate = Uint8Array.from(atob(anchor), (character) => character.charCodeAt(0));
  const anchors = [{ name: "simulated", kind: "simulated" as const, certificate }];
  const verified: { simulated: boolean; publicKeySha256: string; steps: readonly string[] }[] = [];
  const attestation = {
    anchors,
    policy: pinnedPolicy(mrenclave, anchors),
    onVerified: (replica: BrowserClient.VerifiedReplica) =>
      verified.push({
        simulated: replica.claims.simulated,
        publicKeySha256: replica.publicKeySha256,
        steps: replica.steps,
      }),
  };
  const channel = createSealedChannel({ url, attestation });
  const rest = createSealedRestTransport({ url, attestation });
  const data = Float32Array.of(2, 4242.4242);
  const input = { model: "half", inputs: new Map([["x", { dtype: "float" as const, shape: [2], data }]]) };
  try {
    const prediction = await new PredictClient(channel).predict(input, { retries: 0, deadlineMs: 60_000 });
    const overRest = await new RestClient(rest).predict(input, { retries: 0, deadlineMs: 60_000 });
    const values = (outputs: ReadonlyMap<string, { readonly data: unknown }>): unknown[] => [
      outputs.get("y")?.data instanceof Float32Array,
      ...((outputs.get("y")?.data ?? []) as Float32Array),
    ];
    return {
      grpc: values(prediction.outputs),
      rest: values(overRest.outputs),
      replica: prediction.replica,
      verified,
      code: null,
    };
  } catch (error) {
    return { verified, code: error instanceof ClientError ? error.code : String(error) };
  }
}

test("a page verifies a replica of another origin, and predicts with typed arrays over gRPC messages and REST", async () => {
  const result = await browser.page.evaluate(predictInPage, known());
  assert.equal(result.code, null);
  const expected = [true, 3, Math.fround(Math.fround(4242.4242) / 2 + 2)];
  assert.deepEqual(result.grpc, expected);
  assert.deepEqual(result.rest, expected);
  assert.equal(result.replica, "replica-1");
  assert.equal(result.verified.length, 2);
  const spki = new X509Certificate(certificates.server.cert).publicKey.export({ type: "spki", format: "der" });
  for (const each of result.verified) {
    assert.equal(each.simulated, true);
    assert.equal(each.publicKeySha256, createHash("sha256").update(spki).digest("hex"));
    assert.ok(each.steps.includes("quote-signature"));
  }
});

test("an impostor whose certificate the browser takes sees only what is sealed, and the answers are right", async (t) => {
  const relay = await startTlsRelay(testCertificates().server, restPort(), unchanged);
  t.after(() => relay.close());
  const result = await browser.page.evaluate(predictInPage, known({ url: relay.url }));
  assert.equal(result.code, null);
  // The replica signs for its own key, not for the impostor's.
  assert.equal(result.verified.length, 2);
  const bytes = Buffer.from(Float32Array.of(4242.4242).buffer);
  assert.ok(relay.seen.length >= 8);
  for (const seen of relay.seen) assert.ok(!seen.includes(MARKER) && !seen.includes(bytes) && !seen.includes("half"));
});

const ATTACKS: readonly { name: string; code: string; known?: Partial<Known>; tamper?: Tamper; paths?: string[] }[] = [
  { name: "another program", code: "MEASUREMENT_NOT_ALLOWED", known: { mrenclave: "22".repeat(32) } },
  {
    name: "another platform's root",
    code: "PCK_CHAIN_ROOT_NOT_TRUSTED",
    known: { anchor: base64(createSimulatedPlatform({ now: new Date() }).trustAnchor.certificate) },
  },
  {
    name: "an impostor's key in the place of the enclave's",
    code: "EVIDENCE_NOT_BOUND",
    tamper: async (path, answer) => {
      const evidence = path === SESSION_PATH ? decodeSessionResponse(answer) : undefined;
      if (evidence === undefined) return answer;
      return Buffer.from(encodeSessionResponse({ ...evidence, sessionKey: (await generateSessionKey()).publicKey }));
    },
  },
  {
    name: "a changed answer",
    code: "ANSWER_NOT_SEALED",
    tamper: (path, answer) => (path === SEALED_PATH ? Buffer.from(answer.map((byte) => byte ^ 1)) : answer),
    paths: [SESSION_PATH, SEALED_PATH],
  },
];

describe("in the page nothing is sent to", () => {
  for (const { name, code, known: changes, tamper = unchanged, paths = [SESSION_PATH] } of ATTACKS) {
    test(`${name}, or nothing of it is used: ${code}`, async (t) => {
      const relay = await startTlsRelay(testCertificates().server, restPort(), tamper);
      t.after(() => relay.close());
      const result = await browser.page.evaluate(predictInPage, known({ url: relay.url, ...changes }));
      assert.equal(result.code, code);
      assert.deepEqual(relay.paths, paths);
      for (const seen of relay.seen) assert.ok(!seen.includes("half"));
    });
  }
});

test("every vector has the same outcome in Chromium as in Node", async () => {
  const folder = join(ROOT, "packages/attestation/vectors/dcap");
  const outcomes = [...runVectorFolder(folder)];
  const inputs = [...readVectorFolder(folder)];
  assert.ok(outcomes.length > 300);
  const differing: string[] = [];
  for (const [index, input] of inputs.entries()) {
    if (input === undefined) continue;
    const { quote: quoteBytes, collateral, anchors, time } = input;
    const texts = Object.entries<string | Uint8Array>({ ...collateral }).map(([name, value]) =>
      typeof value === "string" ? ([name, value, false] as const) : ([name, base64(value), true] as const),
    );
    const anchor = anchors.map(({ name, kind, certificate }) => ({ name, kind, certificate: base64(certificate) }));
    const sent = { quote: base64(quoteBytes), texts, anchor, time: time.getTime() };
    const outcome = await browser.page.evaluate(appraiseInPage, sent);
    const { id, code, tcbStatus } = outcomes[index]!;
    if (outcome !== (code ?? tcbStatus)) differing.push(`${id}: ${outcome}, not ${code ?? tcbStatus}`);
  }
  assert.deepEqual(differing, []);
});

/** Runs in the page: the code of the refusal, or the TCB status. */
async function appraiseInPage(sent: {
  quote: string;
  texts: readonly (readonly [string, string, boolean])[];
  anchor: readonly { name: string; kind: "intel" | "simulated"; certificate: string }[];
  time: number;
}): Promise<string> {
  const verifier = "@cloister/attestation/webcrypto";
  const { appraiseAsync, AttestationError } = (await import(verifier)) as typeof WebcryptoVerifier;
  const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const collateral = Object.fromEntries(
    sent.texts.map(([key, text, isBytes]) => [key, isBytes ? bytes(text) : text]),
  ) as unknown as Parameters<typeof appraiseAsync>[1];
  const anchors = sent.anchor.map(({ name, kind, certificate }) => ({ name, kind, certificate: bytes(certificate) }));
  try {
    const { tcb } = await appraiseAsync({ quote: bytes(sent.quote) }, collateral, anchors, new Date(sent.time));
    return tcb.status;
  } catch (error) {
    return error instanceof AttestationError ? error.code : String(error);
  }
}
