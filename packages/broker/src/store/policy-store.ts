import { type KeyObject, sign, verify } from "node:crypto";
import { utf8 } from "@cloister/encoding";
import { canonicalJson, type CanonicalJsonInput, parseStrictJson } from "@cloister/encoding/canonical-json";
import { parsePolicy, type Policy, policySha256 } from "@cloister/policy";
import { BrokerError } from "../broker-error.ts";
import type { StoredPolicy, PolicySource } from "./follow-policies.ts";
import type { StoreConnection } from "./client.ts";
import { unavailable } from "./unavailable.ts";

const MAX_POLICY_CHARACTERS = 4 << 20;
const MAX_POLICY_DEPTH = 16;

export interface PolicyStoreOptions {
  readonly connection: StoreConnection;
  /** Calls `wake` soon after each switch, as far as the database can. */
  readonly listen: (wake: () => void) => Promise<void>;
  readonly origin: string;
  readonly signingKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * Policy versions by digest, and which of them is active. The switch is one transaction under the lock that every append
 * takes, so no release under the former policy follows it. It is signed with the key of the log: who can write to the
 * database cannot activate a policy.
 */
export class StoredPolicies implements PolicySource {
  readonly #options: PolicyStoreOptions;
  #seen = 0;
  #wake: (() => void) | undefined;

  constructor(options: PolicyStoreOptions) {
    this.#options = options;
  }

  /** Stores a policy and makes it the active one of all brokers. Returns its place in the order of switches. */
  async activate(policy: Policy): Promise<StoredPolicy> {
    const sha256 = policySha256(policy);
    // A parsed policy is plain JSON data.
    const document = canonicalJson(policy as unknown as CanonicalJsonInput);
    return this.#options.connection.use(async (client) => {
      try {
        await client.begin();
        await client.query("INSERT INTO policies (sha256, document) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
          sha256,
          document,
        ]);
        const [head] = await client.query(`SELECT policy_sequence FROM head${client.forUpdate}`);
        const sequence = Number(head?.["policy_sequence"]) + 1;
        const signature = sign(null, this.#statement(sequence, sha256), this.#options.signingKey);
        await client.query("UPDATE head SET policy_sequence = $1, policy_sha256 = $2, policy_signature = $3", [
          sequence,
          sha256,
          signature,
        ]);
        await client.notifyPolicy();
        await client.query("COMMIT");
        this.#wake?.();
        return { policy, sha256, sequence };
      } catch (error) {
        throw unavailable(error);
      }
    });
  }

  /**
   * The active policy, verified; undefined where none was ever activated. Throws STORE_UNAVAILABLE, STORE_DAMAGED or the
   * errors of `parsePolicy`.
   */
  async current(): Promise<StoredPolicy | undefined> {
    const [row] = await this.#options.connection.query(
      `SELECT policy_sequence AS sequence, policy_sha256 AS sha256, policy_signature AS signature, document
       FROM head LEFT JOIN policies ON sha256 = policy_sha256`,
    );
    const { sequence: text, sha256, signature, document } = row ?? {};
    const sequence = Number(text);
    if (sha256 === null && sequence === 0 && this.#seen === 0) return undefined;
    const isWhole = typeof sha256 === "string" && typeof document === "string" && signature instanceof Uint8Array;
    if (!isWhole || !verify(null, this.#statement(sequence, sha256), this.#options.publicKey, signature)) {
      throw damaged("it is not signed by the key of the log");
    }
    if (sequence < this.#seen) throw damaged("an older switch stands in the place of a newer one");
    const policy = parsePolicy(
      parseStrictJson(document, { maxLength: MAX_POLICY_CHARACTERS, maxDepth: MAX_POLICY_DEPTH }),
    );
    if (policySha256(policy) !== sha256) throw damaged("the document does not have its digest");
    this.#seen = sequence;
    return { policy, sha256, sequence };
  }

  listen(wake: () => void): Promise<void> {
    this.#wake = wake;
    return this.#options.listen(wake);
  }

  /** An object, which no checkpoint that the same key signs can be: the name of a log starts with a letter or digit. */
  #statement(sequence: number, sha256: string): Uint8Array {
    const { origin } = this.#options;
    return utf8(canonicalJson({ type: "cloister-active-policy/1", origin, sequence, sha256 }));
  }
}

function damaged(why: string): BrokerError {
  return new BrokerError("STORE_DAMAGED", {
    what: "the shared policy was not taken",
    why,
    remedy: "activate the policy again; find out who changed the database",
  });
}
