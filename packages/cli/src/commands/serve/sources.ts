import {
  anySource,
  type BundleKeys,
  type ModelSource,
  sealedSource,
  type StoreCredentials,
} from "@cloister/model-server";
import { newestIssued, ownerKeyPath, readKeyFile, readOwnerKey, wrapKeyPath } from "@cloister/protected-files/rim";
import type { ServeFlags } from "./options.ts";

/** Where `cloister serve` takes versions from: folders and object stores, opened in memory where keys are given. */
export function sourceOf(flags: ServeFlags): ModelSource {
  const isSealed = flags.sealKeys !== undefined || flags.wrapKey !== undefined;
  const credentials = storeCredentials(process.env);
  const inner = anySource({
    // What is changed on the way does not open.
    allowsHttp: isSealed || flags.insecureStore === true,
    ...(flags.storeEndpoint !== undefined && { endpoint: flags.storeEndpoint }),
    ...(flags.storeRegion !== undefined && { region: flags.storeRegion }),
    ...(credentials !== undefined && { credentials }),
  });
  return isSealed ? sealedSource(inner, (name, version) => bundleKeys(flags, { name, version })) : inner;
}

/** The owner's keys as `cloister seal` keeps them, or those that are named one by one. */
async function bundleKeys(flags: ServeFlags, model: { name: string; version: number }): Promise<BundleKeys> {
  const { sealKeys = "keys", wrapKey, ownerKey, minimumGeneration } = flags;
  return {
    wrapKey: (await readKeyFile(wrapKey ?? wrapKeyPath(sealKeys, model))).wrapKey,
    ownerKey: await readOwnerKey(ownerKey ?? ownerKeyPath(sealKeys)),
    minimumGeneration: minimumGeneration ?? (await newestIssued(sealKeys, model)),
  };
}

/** The names under which S3's own tools look for keys. */
function storeCredentials(environment: NodeJS.ProcessEnv): StoreCredentials | undefined {
  const keyId = environment["AWS_ACCESS_KEY_ID"];
  const secretKey = environment["AWS_SECRET_ACCESS_KEY"];
  const sessionToken = environment["AWS_SESSION_TOKEN"];
  if (keyId === undefined || secretKey === undefined) return undefined;
  return { keyId, secretKey, ...(sessionToken !== undefined && { sessionToken }) };
}
