import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createHash } from "node:crypto";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { type BrokerEvent, startBroker } from "@cloister/broker";
import { createServingCa } from "@cloister/broker/certificates";
import { toHex } from "@cloister/encoding";
import { type EnclaveManifest, measureSimulated } from "@cloister/enclave";
import { parsePolicy, type Policy, type PolicyClaims, POLICY_SCHEMA } from "@cloister/policy";
import type { ReleaseLog } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";
import type { Observe, StepResult } from "./events.ts";
import type { WorkFolders } from "./folders.ts";
import type { OwnedModel } from "./model.ts";
import { type Owner, privateKeyPem, SERVING_NAME } from "./owner.ts";
import type { SealedModel } from "./seal.ts";

const CERTIFICATE_MAX_AGE_SECONDS = 600;
const SERVING_VALIDITY_SECONDS = 86_400;
const SHOWN_DIGITS = 16;

/** The owner's broker with the release log behind it. */
export interface OwnerBroker {
  readonly address: { readonly host: string; readonly port: number };
  readonly policy: Policy;
  /** What each release so far rests on, one line each, read back from the log. */
  readonly describeReleases: () => Promise<string[]>;
  /** Calls back for every later event; returns the function that ends that. */
  readonly onEvent: (listener: (event: BrokerEvent) => void) => () => void;
  close(): Promise<void>;
}

export interface OwnerBrokerOptions {
  /** Address to listen on; default: this machine only. */
  readonly brokerHost?: string;
  readonly brokerPort: number;
  readonly tls: "one-way" | "mutual";
  readonly folders: WorkFolders;
  readonly owner: Owner;
  readonly model: OwnedModel;
  readonly sealed: SealedModel;
  readonly platform: SimulatedPlatform;
  readonly manifest: EnclaveManifest;
  readonly observe: Observe;
}

/** Starts the broker with a policy that names exactly one measurement, and the log that every decision goes to first. */
export async function brokerStep(options: OwnerBrokerOptions): Promise<StepResult<OwnerBroker>> {
  const { owner, folders, platform, sealed } = options;
  const policy = policyFor(options);
  await writeFile(join(folders.owner, "policy.json"), `${JSON.stringify(policy, null, 2)}\n`);
  const log = await openReleaseLog({
    path: join(folders.owner, "release.log"),
    origin: "cloister.local/release-log",
    signingKey: owner.logKey.privateKey,
  });
  const listeners = new Set<(event: BrokerEvent) => void>([reportTo(options.observe)]);
  const ownerKey = new Uint8Array(owner.bundleKey.publicKey.export({ type: "spki", format: "der" }));
  const broker = await startBroker({
    host: options.brokerHost ?? "127.0.0.1",
    port: options.brokerPort,
    tls: { key: privateKeyPem(owner.brokerTls.key), cert: owner.brokerTls.chain },
    policy,
    keys: { secret: () => Promise.resolve(owner.wrapKey) },
    bundles: { bundle: () => Promise.resolve({ manifest: sealed.manifest, ownerKey }) },
    servingCa: createServingCa({
      authority: owner.servingAuthority,
      ...(options.tls === "mutual" && { clientAuthority: owner.clientAuthority }),
      clock: () => new Date(),
    }),
    collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
    anchors: [platform.trustAnchor],
    log,
    onEvent: (event) => {
      for (const listener of listeners) listener(event);
    },
  });
  const result: OwnerBroker = {
    address: broker.address,
    policy,
    describeReleases: () => describeReleases(log),
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {
      await broker.close();
      await log.close();
    },
  };
  const facts = [
    `listens on ${broker.address.host}:${broker.address.port}`,
    `policy allows MRENCLAVE ${toHex(measureSimulated(options.manifest)).slice(0, SHOWN_DIGITS)}… on the SIMULATED platform only`,
  ];
  return { result, facts };
}

function policyFor({ platform, manifest, model, sealed, tls }: OwnerBrokerOptions): Policy {
  const anchorSha256 = createHash("sha256").update(platform.trustAnchor.certificate).digest("hex");
  return parsePolicy({
    schema: POLICY_SCHEMA,
    // A production policy cannot name a simulated platform; this one has to say what it is.
    production: false,
    workloads: [
      {
        name: `serve-${model.name}`,
        identities: [{ tee: "sgx", mrenclave: toHex(measureSimulated(manifest)) }],
        platforms: [{ kind: "simulated", anchorSha256 }],
        certificate: { maximumAgeSeconds: CERTIFICATE_MAX_AGE_SECONDS },
        secrets: {
          keyId: `models/${model.name}/${model.version}`,
          model: { name: model.name, version: model.version, minimumGeneration: sealed.generation },
          serving: {
            dnsNames: [SERVING_NAME],
            validitySeconds: SERVING_VALIDITY_SECONDS,
            clientVerify: tls === "mutual",
          },
        },
      },
    ],
  });
}

async function describeReleases(log: ReleaseLog): Promise<string[]> {
  const lines: string[] = [];
  for await (const { index, entry } of log.entries()) {
    if (entry.decision !== "released" || entry.claims === null) continue;
    const claims = entry.claims as unknown as PolicyClaims;
    const measurement = claims.sgx?.mrenclave.slice(0, SHOWN_DIGITS) ?? claims.tdx?.mrtd.slice(0, SHOWN_DIGITS) ?? "";
    lines.push(
      `log entry ${index}: verified quote of a ${claims.simulated ? "SIMULATED " : ""}${claims.tee} platform, ` +
        `MRENCLAVE ${measurement}…, TCB ${claims.tcbStatus}, debug ${claims.debug ? "on" : "off"}, ` +
        `collateral valid until ${claims.earliestExpiry.slice(0, 10)}; then key ${entry.keyId ?? ""} released`,
    );
  }
  return lines;
}

/** Shows what a person wants to see of the broker's decisions. */
function reportTo(observe: Observe): (event: BrokerEvent) => void {
  return (event) => {
    if (event.type === "release") observe({ ...event, type: "released" });
    if (event.type === "refusal") observe({ type: "refused", code: event.code, logIndex: event.logIndex });
    if (event.type === "alarm") observe({ type: "progress", text: `broker alarm ${event.code}: ${event.reason}` });
  };
}
