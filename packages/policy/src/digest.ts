import { toHex, utf8 } from "@cloister/encoding";
import { canonicalJson, type CanonicalJsonInput } from "@cloister/encoding/canonical-json";
import { sha256 } from "@cloister/encoding/sha256";
import type { Policy } from "./policy.ts";

/** Lower-case hex SHA-256 of the policy's canonical JSON. Names the policy in logs; equal for equal meaning and order. */
export function policySha256(policy: Policy): string {
  // An interface has no index signature; a parsed policy is plain JSON data.
  return toHex(sha256(utf8(canonicalJson(policy as unknown as CanonicalJsonInput))));
}
