/** The op of the node that stands for one that cannot be lowered, or depends on such a one. */
export const MISSING_OP = "?";

/** An op that cannot be lowered. */
export interface MissingOp {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}
