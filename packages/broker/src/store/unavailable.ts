import { BrokerError } from "../broker-error.ts";

/** Messages of a database may quote what they were given: the code alone is told. */
export function unavailable(cause: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause;
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "no code";
  return new BrokerError(
    "STORE_UNAVAILABLE",
    {
      what: "the store of the broker did not answer",
      why: `the database refused or was not reached (${code})`,
      remedy: "nothing is released meanwhile; look at the database, its disk and the network",
    },
    { cause },
  );
}
