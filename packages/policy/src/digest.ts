import { createHash } from "node:crypto";
import { canonicalJson, type CanonicalJsonInput } from "@cloister/encoding/canonical-json";
import type { Policy } from "./policy.ts";

/** Lower-case hex SHA-256 of the policy's canonical JSON. Names the policy in logs; equal for equal meaning and order. */
export function policySha256(policy: Policy): string {
  return (
    createHash("sha256")
      // An interface has no index signature; a parsed policy is plain JSON data.
      .update(canonicalJson(policy as unknown as CanonicalJsonInput))
      .digest("hex")
  );
}
