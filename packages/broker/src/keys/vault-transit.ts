import { request } from "node:https";
import { fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import { z } from "zod";
import { BrokerError } from "../broker-error.ts";
import { type KeyProtection, MASTER_BYTES, otherKind } from "./protection.ts";

// HashiCorp Vault's transit engine: the master key of a store exists in the clear in the broker's memory only; its file holds
// what transit made of it. https://developer.hashicorp.com/vault/api-docs/secret/transit

const MAX_ANSWER_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface VaultTransitOptions {
  /** HTTPS only, for example "https://vault.example:8200". */
  readonly url: string;
  /** Path of the engine. Default "transit". */
  readonly mount?: string;
  /** Name of the key in the engine. */
  readonly key: string;
  /** A token that may call `datakey/plaintext/<key>` and `decrypt/<key>`. */
  readonly token: Secret;
  readonly namespace?: string;
  /** PEM of the authority of the vault's certificate. Default: the run time's authorities. */
  readonly ca?: string;
  readonly timeoutMs?: number;
}

const dataKeyAnswer = z.object({ data: z.object({ plaintext: z.base64(), ciphertext: z.string().max(4096) }) });
const decryptAnswer = z.object({ data: z.object({ plaintext: z.base64() }) });

/** Protection by a key that never leaves the vault. Throws KEY_PROTECTION_UNAVAILABLE for whatever the vault refuses. */
export function vaultTransitProtection(options: VaultTransitOptions): KeyProtection {
  const { mount = "transit", key } = options;
  if (new URL(options.url).protocol !== "https:") throw unavailable("its address is not an https: URL");
  return {
    async create() {
      const body = { bits: MASTER_BYTES * 8 };
      const answer = dataKeyAnswer.safeParse(await post(options, `${mount}/datakey/plaintext/${key}`, body));
      if (!answer.success) throw unavailable("its answer is not one of the transit engine");
      const { plaintext, ciphertext } = answer.data.data;
      return { head: { kind: "vault-transit", mount, key, wrapped: ciphertext }, master: masterOf(plaintext) };
    },
    async open(head) {
      if (head.kind !== "vault-transit") throw otherKind(head.kind);
      const answer = decryptAnswer.safeParse(
        await post(options, `${head.mount}/decrypt/${head.key}`, { ciphertext: head.wrapped }),
      );
      if (!answer.success) throw unavailable("its answer is not one of the transit engine");
      return masterOf(answer.data.data.plaintext);
    },
  };
}

function masterOf(plaintext: string): Secret {
  const bytes = fromBase64(plaintext);
  if (bytes?.length !== MASTER_BYTES) throw unavailable("the key that it gave has the wrong length");
  return new Secret(bytes, "key store master key");
}

function post(options: VaultTransitOptions, path: string, body: object): Promise<unknown> {
  const { url, token, namespace, ca, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const headers = {
    "content-type": "application/json",
    "x-vault-request": "true",
    "x-vault-token": fromUtf8(token.reveal())?.trim() ?? "",
    ...(namespace !== undefined && { "x-vault-namespace": namespace }),
  };
  return new Promise((resolve, reject) => {
    const target = new URL(`/v1/${path.split("/").map(encodeURIComponent).join("/")}`, url);
    const signal = AbortSignal.timeout(timeoutMs);
    const call = request(target, { method: "POST", headers, signal, ...(ca !== undefined && { ca }) }, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on("data", (part: Buffer) => {
        length += part.length;
        if (length > MAX_ANSWER_BYTES) call.destroy(new Error("too long"));
        else parts.push(part);
      });
      response.on("error", () => reject(unavailable("the connection broke")));
      response.on("end", () => {
        // The body of a refusal may quote the request: only its number is told.
        if (response.statusCode !== 200) reject(unavailable(`it answered ${response.statusCode ?? "nothing"}`));
        else resolve(parseJson(Buffer.concat(parts)));
      });
    });
    call.on("error", (error) => {
      const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
      reject(unavailable(`it was not reached (${code})`));
    });
    call.end(utf8(JSON.stringify(body)));
  });
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes) ?? "") as unknown;
  } catch {
    return undefined;
  }
}

function unavailable(why: string): BrokerError {
  return new BrokerError("KEY_PROTECTION_UNAVAILABLE", {
    what: "the vault did not give the key store's master key",
    why,
    remedy: "check address, authority, token and its policy",
  });
}
