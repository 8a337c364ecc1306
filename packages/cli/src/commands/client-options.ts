import { createPublicKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { decodeCollateral, INTEL_ROOT, type TrustAnchor } from "@cloister/attestation";
import {
  type Address,
  allAddresses,
  type AttestationOptions,
  type ChannelOptions,
  createAttestor,
  pinnedPolicy,
  type VerifiedReplica,
} from "@cloister/client";
import { utf8 } from "@cloister/encoding";
import { parsePolicy } from "@cloister/policy";
import type { Command } from "commander";
import { address, listed } from "../flags.ts";
import { InputError, readDocument, readText } from "../read-document.ts";

const GRPC_PORT = 8500;

export interface ClientFlags {
  readonly address?: readonly Address[];
  readonly allAddresses?: boolean;
  readonly requester?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly insecure?: boolean;
  readonly attest?: string;
  readonly mrenclave?: string;
  readonly trustAnchor?: string;
  readonly collateral?: string;
  readonly logKey?: string;
}

/** How to reach a server and what it has to prove, for every command that talks to one. */
export function withClientOptions(command: Command): Command {
  return command
    .option("--address <host:port...>", "server or gateway; connections go to several in turn", listed(address))
    .option(
      "--all-addresses",
      "spread connections over every address that the name resolves to, looked up for each one",
    )
    .option("--requester <folder>", "take the files below from a folder that `cloister up` wrote: .cloister/requester")
    .option("--ca <file>", "authority of the server's certificate (PEM)")
    .option("--cert <file>", "own certificate chain, for mutual TLS (PEM)")
    .option("--key <file>", "key of the own certificate (PEM)")
    .option("--server-name <name>", "name in the server's certificate (default: the host of --address)")
    .option("--insecure", "plaintext")
    .option("--attest <policy>", "verify each replica against this policy before the first request")
    .option("--mrenclave <hex>", "verify each replica against this one measurement")
    .option("--trust-anchor <file>", "accept this SIMULATED root (PEM) beside Intel's")
    .option("--collateral <file>", "collateral to verify with (default: what the replica staples)")
    .option("--log-key <file>", "refuse a replica whose key release is not in the log with this key (PEM)");
}

/** Reads the files that flags name. Throws `InputError`, `PolicyError`, `AttestationError`. */
export async function channelOptionsOf(
  flags: ClientFlags,
  onVerified?: (replica: VerifiedReplica) => void,
  defaultPort = GRPC_PORT,
): Promise<ChannelOptions> {
  const [first = { host: "127.0.0.1", port: defaultPort }, ...moreAddresses] = flags.address ?? [];
  const where = {
    address: first,
    moreAddresses,
    ...(flags.allAddresses === true && { resolve: allAddresses }),
  };
  const files = withRequesterFolder(flags);
  const trusted = files.ca ?? files.attest ?? files.mrenclave;
  if (flags.insecure === true) {
    if (trusted !== undefined) throw insecureAndTrusted();
    return { ...where, insecure: true };
  }
  if (trusted === undefined) throw trustMissing();
  const attestation = await attestationOf(files, onVerified);
  const { serverName } = files;
  return {
    ...where,
    tls: { ...(serverName !== undefined && { serverName }), ...(await readTlsFiles(files)) },
    ...(attestation !== undefined && { attestation: createAttestor(attestation) }),
  };
}

function trustMissing(): InputError {
  return new InputError("OPTION_MISSING", {
    what: "nothing was sent",
    why: "no flag says whom to trust",
    remedy:
      "give --requester with the folder that `cloister up` wrote, or --ca, --attest or --mrenclave; " +
      "or --insecure where nobody else can read the wire",
  });
}

function insecureAndTrusted(): InputError {
  return new InputError("OPTIONS_CONFLICT", {
    what: "nothing was sent",
    why: "--insecure stands beside a flag that says whom to trust, which plaintext cannot heed",
    remedy: "leave out --insecure, or --requester, --ca, --attest and --mrenclave",
  });
}

/** What `cloister up` writes; a flag of its own wins. The client's certificate is there in mutual TLS only. */
function withRequesterFolder(flags: ClientFlags): ClientFlags {
  const { requester } = flags;
  if (requester === undefined) return flags;
  const file = (name: string): string => join(requester, name);
  return {
    ca: file("ca.pem"),
    cert: file("client.pem"),
    key: file("client-key.pem"),
    serverName: "grpc.tf-serving.service.com",
    trustAnchor: file("trust-anchor.pem"),
    collateral: file("collateral.json"),
    ...(existsSync(file("log-key.pem")) && { logKey: file("log-key.pem") }),
    ...(flags.mrenclave === undefined && { attest: file("policy.json") }),
    ...flags,
  };
}

async function readTlsFiles({ ca, cert, key, requester }: ClientFlags) {
  const read = async (path: string | undefined): Promise<string | undefined> =>
    path === undefined ? undefined : readText(path).catch((error: unknown) => missing(error, path, requester));
  const [caPem, certPem, keyPem] = await Promise.all([read(ca), read(cert), read(key)]);
  return {
    ...(caPem !== undefined && { ca: caPem }),
    ...(certPem !== undefined && { cert: certPem }),
    ...(keyPem !== undefined && { key: keyPem }),
  };
}

/** In the requester's folder of a one-way chain there is no client certificate. */
function missing(error: unknown, path: string, requester: string | undefined): undefined {
  if (requester !== undefined && path.startsWith(join(requester, "client"))) return undefined;
  throw error;
}

async function attestationOf(
  { attest, mrenclave, trustAnchor, collateral, logKey }: ClientFlags,
  onVerified: ((replica: VerifiedReplica) => void) | undefined,
): Promise<AttestationOptions | undefined> {
  if (attest === undefined && mrenclave === undefined) return undefined;
  const anchors = [INTEL_ROOT, ...(trustAnchor === undefined ? [] : [await readAnchor(trustAnchor)])];
  const policy =
    mrenclave === undefined ? parsePolicy(await readDocument(attest ?? "")) : pinnedPolicy(mrenclave, anchors);
  const kept = collateral === undefined ? undefined : decodeCollateral(utf8(await readText(collateral)));
  return {
    anchors,
    policy,
    ...(kept !== undefined && { collateral: () => Promise.resolve(kept) }),
    ...(logKey !== undefined && { releaseLog: { publicKey: await readLogKey(logKey) } }),
    ...(onVerified !== undefined && { onVerified }),
  };
}

async function readAnchor(path: string): Promise<TrustAnchor> {
  const text = await readText(path);
  try {
    return { name: "simulated", kind: "simulated", certificate: new Uint8Array(new X509Certificate(text).raw) };
  } catch (cause) {
    throw new InputError(
      "FILE_MALFORMED",
      { what: `${path} was not read`, why: "it holds no certificate", remedy: "give the root certificate, PEM" },
      { cause },
    );
  }
}

/** The Ed25519 key of a release log, 32 bytes: the end of its SubjectPublicKeyInfo (RFC 8410, section 4). */
async function readLogKey(path: string): Promise<Uint8Array> {
  const text = await readText(path);
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyType !== "ed25519") throw new TypeError("not an Ed25519 key");
    return new Uint8Array(key.export({ type: "spki", format: "der" }).subarray(-32));
  } catch (cause) {
    throw new InputError(
      "FILE_MALFORMED",
      { what: `${path} was not read`, why: "it holds no Ed25519 public key", remedy: "give the broker's log-key.pem" },
      { cause },
    );
  }
}
