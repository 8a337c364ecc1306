import { FILE_RULES } from "./file-rules.ts";
import { HOST_RULES } from "./host-rules.ts";
import type { LintRule } from "./rule.ts";
import { SECRET_RULES } from "./secret-rules.ts";
import { SERVER_RULES } from "./server-rules.ts";
import { SHAPE_RULES } from "./shape-rules.ts";

/** Every rule, in the order in which findings are told (gramine.md E.2; W numbers: specs of the original's weak points). */
export const LINT_RULES: readonly LintRule[] = [
  ...SHAPE_RULES,
  ...HOST_RULES,
  ...FILE_RULES,
  ...SECRET_RULES,
  ...SERVER_RULES,
];
