import { type KeyObject, sign, verify } from "node:crypto";
import { utf8 } from "@cloister/encoding";
import { canonicalJson, type CanonicalJsonInput, parseStrictJson } from "@cloister/encoding/canonical-json";
import { parsePolicy, type Policy, policySha256 } from "@cloister/policy";
import { BrokerError } from "../../broker-error.ts";
import type { StoredPolicy, PolicySource } from "../follow-policies.ts";
import {
  type Connection,
  connectPostgres,
  type Client,
  discard,
  type PostgresSettings,
  unavailable,
} from "./connection.ts";

const CHANNEL = "cloister_policy";
const MAX_POLICY_CHARACTERS = 4 << 20;
const MAX_POLICY_DEPTH = 16;

export interface PolicyStoreOptions {
  readonly settings: PostgresSettings;
  readonly connection: Connection;
  readonly origin: string;
  readonly signingKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * Policy versions by digest, and which of them is active. The switch is one transaction under the lock that every append
 * takes, so no release under the former policy follows it. It is signed with the key of the log: who can write to the
 * database cannot activate a policy.
 */
export class PostgresPolicies implements PolicySource {
  readonly #options: PolicyStoreOptions;
  #listener: Client | undefined;
  #seen = 0;

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
        await client.query("BEGIN");
        await client.query("INSERT INTO cloister.policies (sha256, document) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
          sha256,
          document,
        ]);
        const { rows } = await client.query<{ sequence: string }>(
          "SELECT policy_sequence AS sequence FROM cloister.head FOR UPDATE",
        );
        const sequence = Number(rows[0]?.sequence) + 1;
        const signature = sign(null, this.#statement(sequence, sha256), this.#options.signingKey);
        await client.query("UPDATE cloister.head SET policy_sequence = $1, policy_sha256 = $2, policy_signature = $3", [
          sequence,
          sha256,
          signature,
        ]);
        await client.query(`NOTIFY ${CHANNEL}`);
        await client.query("COMMIT");
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
       FROM cloister.head LEFT JOIN cloister.policies ON sha256 = policy_sha256`,
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

  /** Calls `wake` soon after each switch, as long as the database is there; opens its connection again when it is lost. */
  async listen(wake: () => void): Promise<void> {
    if (this.#listener !== undefined) return;
    const client = await connectPostgres(this.#options.settings);
    const forget = (): void => {
      if (this.#listener === client) this.#listener = undefined;
    };
    client.on("notification", wake).on("error", forget).on("end", forget);
    this.#listener = client;
    try {
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      forget();
      discard(client);
      throw unavailable(error);
    }
  }

  close(): void {
    if (this.#listener !== undefined) discard(this.#listener);
    this.#listener = undefined;
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
