import { mkdir, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Secret } from "@cloister/encoding";
import { BrokerError } from "../broker-error.ts";
import { type CertificateAuthority, createAuthority } from "./authority.ts";
import { issueClientCertificate, issueServerCertificate } from "./issue.ts";
import { generatePrivateKey, type PrivateKey, type PrivateKeyType } from "./private-key.ts";
import { writeSslConfig } from "./ssl-config.ts";

export interface TlsFolderOptions {
  /** New, or empty. */
  readonly folder: string;
  readonly serverNames: readonly [string, ...string[]];
  /** With at least one, requesters have to show a certificate. */
  readonly clientNames: readonly string[];
  readonly keyType?: PrivateKeyType;
  /** Default 90. */
  readonly days?: number;
  readonly now: Date;
}

interface TlsFile {
  readonly path: string;
  readonly content: string | Secret;
}

/**
 * Makes the original's TLS material with a folder for each holder: `owner` keeps the authority's key, `server` goes to the
 * serving side (`ssl.cfg` into a protected file, because it holds the key), `client/<name>` to each requester. Private keys
 * have mode 0600. Returns the paths that were written.
 *
 * Throws `BrokerError` FOLDER_NOT_EMPTY, and the errors of `issueServerCertificate`.
 */
export async function writeTlsFolder(options: TlsFolderOptions): Promise<string[]> {
  const { folder, now, days = 90, keyType } = options;
  await refuseUsed(folder);
  // It outlives what it signs, and no more than that.
  const authority = createAuthority({
    name: "Cloister TLS CA",
    now,
    days: days * 4,
    ...(keyType !== undefined && { keyType }),
  });
  const files = [
    { path: "owner/ca_key.pem", content: authority.privateKey.toPem() },
    { path: "ca_cert.pem", content: authority.certificate },
    ...serverFiles(authority, { ...options, days }),
    ...options.clientNames.flatMap((name) => clientFiles(authority, name, { ...options, days })),
  ];
  for (const file of files) await writeNew(join(folder, file.path), file.content);
  return files.map(({ path }) => join(folder, path));
}

function serverFiles(authority: CertificateAuthority, options: TlsFolderOptions & { days: number }): TlsFile[] {
  const privateKey = generatePrivateKey(options.keyType);
  const { now, days, serverNames, clientNames } = options;
  const { chain } = issueServerCertificate({ authority, subject: privateKey, now, days, dnsNames: serverNames });
  const config = writeSslConfig({
    privateKey,
    certificateChain: chain,
    ...(clientNames.length > 0 && { clientCa: authority.certificate }),
  });
  return [...keyPair("server", privateKey, chain), { path: "server/ssl.cfg", content: config }];
}

function clientFiles(
  authority: CertificateAuthority,
  name: string,
  { now, days, keyType }: TlsFolderOptions & { days: number },
): TlsFile[] {
  const privateKey = generatePrivateKey(keyType);
  const { chain } = issueClientCertificate({ authority, subject: privateKey, now, days, name });
  return keyPair(`client/${encodeURIComponent(name)}`, privateKey, chain);
}

const keyPair = (folder: string, key: PrivateKey, chain: string): TlsFile[] => [
  { path: `${folder}/key.pem`, content: key.toPem() },
  { path: `${folder}/cert.pem`, content: chain },
];

async function refuseUsed(folder: string): Promise<void> {
  // It is made with the first file: names that are refused leave nothing behind.
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new BrokerError("FOLDER_NOT_EMPTY", {
    what: `no certificates were made in ${folder}`,
    why: "it has content, and keys are never overwritten",
    remedy: "name a new folder",
  });
}

async function writeNew(path: string, content: string | Secret): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, "wx", typeof content === "string" ? 0o644 : 0o600);
  try {
    await file.writeFile(typeof content === "string" ? content : content.reveal());
  } finally {
    await file.close();
    if (typeof content !== "string") content.wipe();
  }
}
