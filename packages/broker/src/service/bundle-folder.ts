import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BrokerError } from "../broker-error.ts";
import type { BundleSource } from "../options.ts";

/**
 * Bundle manifests in a folder, `<model>/<version>.json` each, as sealing writes them. They are read at every release: what
 * is there now is what replicas have to serve. `ownerKey` is the PEM of the owner's Ed25519 public key. Throws BROKER_OPTIONS_INVALID.
 */
export function bundleFolder(folder: string, ownerKey: string): BundleSource {
  const key = readPublicKey(ownerKey);
  if (key?.asymmetricKeyType !== "ed25519") {
    throw new BrokerError("BROKER_OPTIONS_INVALID", {
      what: "the owner's key was refused",
      why: "it is not an Ed25519 public key",
      remedy: "give the public key that belongs to the key that bundles are signed with",
    });
  }
  const spki = new Uint8Array(key.export({ type: "spki", format: "der" }));
  return {
    // Names of models come from a checked policy: letters, digits, dot, dash and underscore, never a dot first.
    bundle: async ({ name, version }) => ({
      manifest: new Uint8Array(await readFile(join(folder, name, `${version}.json`))),
      ownerKey: spki,
    }),
  };
}

function readPublicKey(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem);
  } catch {
    return undefined;
  }
}
