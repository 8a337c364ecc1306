/** What came of one attempt against the running chain. */
export interface AttackResult {
  readonly name: string;
  /** What was tried, in one sentence. */
  readonly tried: string;
  readonly refused: boolean;
  /** Who refused it: "broker", "replica", "requester". */
  readonly by: string;
  /** The code of the refusal; null where the attack succeeded. */
  readonly code: string | null;
}
