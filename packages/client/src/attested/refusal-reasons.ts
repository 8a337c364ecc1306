const ASK_OPERATOR = "do not use this server; ask its operator";

/** Why a replica was refused, and what to do: what is found on the connection, before and after the appraisal. */
export const REFUSAL_REASONS = {
  ATTESTATION_UNSUPPORTED: [
    "it does not answer with evidence when a connection begins",
    "serve with evidence, or do not ask for attestation; if it did before, somebody else answers at this address",
  ],
  TLS_VERSION_REFUSED: ["it does not speak TLS 1.3, below which evidence cannot be tied to a connection", ASK_OPERATOR],
  EVIDENCE_MISSING: ["it closed the connection, or sent something else, in place of its evidence", ASK_OPERATOR],
  EVIDENCE_REPLAYED: ["its evidence answers another challenge than this connection's", ASK_OPERATOR],
  EVIDENCE_FOR_OTHER_KEY: ["its evidence is for another key than that of its certificate", ASK_OPERATOR],
  EVIDENCE_FOR_OTHER_CONNECTION: ["its evidence was made for another connection", ASK_OPERATOR],
  EVIDENCE_NOT_BOUND: ["the quote's report data is not the digest of this connection's binding", ASK_OPERATOR],
  COLLATERAL_UNAVAILABLE: [
    "there is no collateral to verify its quote with",
    "give a collateral file or service; the cause says what went wrong",
  ],
  RELEASE_PROOF_MISSING: [
    "it shows no proof that the release of its keys is in the log",
    "use replicas that show it, or do not ask for it",
  ],
  RELEASE_NOT_LOGGED: ["its proof does not show a release to its key in the broker's log", ASK_OPERATOR],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type ConnectionRefusalCode = keyof typeof REFUSAL_REASONS;
