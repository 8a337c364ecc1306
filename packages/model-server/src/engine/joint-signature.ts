import type { SignatureInfo, TensorInfo } from "./engine.ts";

/** A key of a model's signatures, or several: signatures that are fed the same tensors and run at once. */
export type SignatureKey = string | readonly string[];

export function signatureKeys(key: SignatureKey): readonly string[] {
  return typeof key === "string" ? [key] : key;
}

/** What an output goes by where several signatures run at once: two of them may have the same alias. */
export function jointAlias(signature: string, alias: string): string {
  return JSON.stringify([signature, alias]);
}

/**
 * The signature of that key; `undefined` where there is none. Several make one with the inputs of the first and the outputs of all, which
 * go by their `jointAlias`. Whether they are fed the same tensors is for the caller to see to.
 */
export function findSignature<Info extends SignatureInfo>(
  signatures: ReadonlyMap<string, Info>,
  key: SignatureKey,
): Info | undefined {
  if (typeof key === "string") return signatures.get(key);
  const [first] = key.map((each) => signatures.get(each));
  const outputs = new Map<string, TensorInfo>();
  for (const each of key) {
    const signature = signatures.get(each);
    if (signature === undefined) return undefined;
    for (const [alias, tensor] of signature.outputs) outputs.set(jointAlias(each, alias), tensor);
  }
  return first && { ...first, outputs };
}
