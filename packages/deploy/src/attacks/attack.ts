/** What came of one attempt against the running chain. */
export interface AttackResult {
  readonly name: string;
  /** What was tried, in one sentence. */
  readonly tried: string;
  /** True when the check that guards against it refused it. */
  readonly refused: boolean;
  /** Who refused it: "broker", "replica", "requester". */
  readonly by: string;
  /** The code of whatever stopped it; null where nothing did. */
  readonly code: string | null;
}
