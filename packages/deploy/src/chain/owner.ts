import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type CertificateAuthority,
  createAuthority,
  generatePrivateKey,
  issueClientCertificate,
  issueServerCertificate,
  type PrivateKey,
} from "@cloister/broker/certificates";
import { Secret } from "@cloister/encoding";
import type { StepResult } from "./events.ts";
import type { WorkFolders } from "./folders.ts";

const CA_DAYS = 365;
const LEAF_DAYS = 90;
const WRAP_KEY_BYTES = 16;

/** The DNS name under which every replica serves, and the broker's. They are names in certificates, not in a DNS. */
export const SERVING_NAME = "grpc.tf-serving.service.com";
export const BROKER_NAME = "attestation.service.com";

/** All keys of the owner. They live in this process's memory; only the requester's key is written, into their own folder. */
export interface Owner {
  /** Signs the broker's certificate and those of admitted replicas. */
  readonly servingAuthority: CertificateAuthority;
  /** Signs requesters' certificates (mutual TLS). */
  readonly clientAuthority: CertificateAuthority;
  readonly brokerTls: { readonly key: PrivateKey; readonly chain: string };
  /** Signs bundle manifests. */
  readonly bundleKey: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  /** Signs the release log's checkpoints. */
  readonly logKey: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly wrapKey: Secret;
}

/** Where the requester finds what it needs for TLS. */
export interface RequesterFiles {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A private key as a TLS listener takes it. */
export function privateKeyPem(key: PrivateKey): string {
  return new TextDecoder().decode(key.toPem().reveal());
}

/** Makes the owner's authorities and keys. */
function createOwner(now: Date): Owner {
  const servingAuthority = createAuthority({ name: "Cloister serving CA", now, days: CA_DAYS });
  const clientAuthority = createAuthority({ name: "Cloister client CA", now, days: CA_DAYS });
  const brokerKey = generatePrivateKey("p256");
  const broker = issueServerCertificate({
    authority: servingAuthority,
    subject: { publicKey: brokerKey.publicKey },
    now,
    dnsNames: [BROKER_NAME],
    days: LEAF_DAYS,
  });
  return {
    servingAuthority,
    clientAuthority,
    brokerTls: { key: brokerKey, chain: broker.chain },
    bundleKey: generateKeyPairSync("ed25519"),
    logKey: generateKeyPairSync("ed25519"),
    wrapKey: new Secret(new Uint8Array(randomBytes(WRAP_KEY_BYTES)), "wrap key"),
  };
}

/** Everything about keys and certificates as a step of the chain. */
export async function certificatesStep(
  folders: WorkFolders,
  tls: "one-way" | "mutual",
): Promise<StepResult<{ owner: Owner; requester: RequesterFiles }>> {
  const now = new Date();
  const owner = createOwner(now);
  const requester = await writeRequesterFiles(owner, folders, tls, now);
  const facts = [`${tls} TLS; owner's keys stay in memory; requester's files in ${folders.requester}`];
  return { result: { owner, requester }, facts };
}

/** Writes the requester's trust root and, for mutual TLS, a certificate and key of its own (mode 0600). */
async function writeRequesterFiles(
  owner: Owner,
  folders: WorkFolders,
  tls: "one-way" | "mutual",
  now: Date,
): Promise<RequesterFiles> {
  const path = (name: string): string => join(folders.requester, name);
  await writeFile(path("ca.pem"), owner.servingAuthority.certificate);
  if (tls === "one-way") return { ca: path("ca.pem") };
  const key = generatePrivateKey("p256");
  const client = issueClientCertificate({
    authority: owner.clientAuthority,
    subject: { publicKey: key.publicKey },
    now,
    name: "requester",
    days: LEAF_DAYS,
  });
  await writeFile(path("client.pem"), client.chain);
  await writeFile(path("client-key.pem"), key.toPem().reveal(), { mode: 0o600 });
  return { ca: path("ca.pem"), cert: path("client.pem"), key: path("client-key.pem") };
}
