import { createPublicKey, hash, verify, type KeyObject } from "node:crypto";
import { concatBytes, fromHex, toHex } from "@cloister/encoding";
import { derEcdsaSignature } from "./ecdsa-signature.ts";
import type { CryptoAnswer, CryptoRequest, Steps, VerifyRequest } from "./steps.ts";

/** SubjectPublicKeyInfo of a P-256 key up to the point (RFC 5480). */
const P256_SPKI_PREFIX =
  fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200") ?? /* unreachable */ new Uint8Array();

const MAX_KEYS = 256;

/** Answers the questions of an appraisal with `node:crypto`. Keeps imported keys, because the import costs as much as a check. */
export class NodeCrypto {
  readonly #keys = new Map<string, KeyObject>();

  /** Runs the steps to their end. */
  run<T>(steps: Steps<T>): T {
    let step = steps.next();
    while (step.done !== true) step = steps.next(this.answer(step.value));
    return step.value;
  }

  /** As `run`, with signatures checked on the thread pool: between two of them the event loop goes on. */
  async runAsync<T>(steps: Steps<T>): Promise<T> {
    let step = steps.next();
    while (step.done !== true) {
      const request = step.value;
      step = steps.next(request.kind === "verify" ? await this.#verifyAsync(request) : this.answer(request));
    }
    return step.value;
  }

  answer(request: CryptoRequest): CryptoAnswer {
    if (request.kind === "sha256") return hash("sha256", request.data, "buffer");
    const key = this.#key(request.publicKey);
    if (key === undefined) return false;
    return verify("sha256", request.message, key, derEcdsaSignature(request.signature));
  }

  async #verifyAsync({ publicKey, message, signature }: VerifyRequest): Promise<boolean> {
    const key = this.#key(publicKey);
    if (key === undefined) return false;
    return await new Promise((resolve, reject) => {
      verify("sha256", message, key, derEcdsaSignature(signature), (error, verifies) => {
        if (error === null) resolve(verifies);
        else reject(error);
      });
    });
  }

  /** `undefined` where the bytes are no point on the curve. */
  #key(point: Uint8Array): KeyObject | undefined {
    const name = toHex(point);
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const made = importPoint(point);
    if (made === undefined) return undefined;
    if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
    this.#keys.set(name, made);
    return made;
  }
}

function importPoint(point: Uint8Array): KeyObject | undefined {
  try {
    const spki = Buffer.from(concatBytes(P256_SPKI_PREFIX, point));
    return createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}
