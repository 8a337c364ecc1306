import type { NodeRole } from "./settings.ts";
import { type BootstrapStep, checkScript, runScript } from "./step.ts";

/** The steps as one shell script that does what `runSteps` does: for machines that do not have this program. */
export function bootstrapScript(role: NodeRole, steps: readonly BootstrapStep[]): string {
  const head = [
    "#!/bin/sh",
    `# Makes this machine a ${role} of a Kubernetes cluster. Each step is checked first, so it can be run again.`,
    "set -eu",
    `trap '[ $? = 0 ] || printf "FAILED %s\\ncause: %s\\nremedy: %s\\n" "$step" "$cause" "$remedy" >&2' EXIT`,
    "export LC_ALL=C",
  ];
  return `${head.join("\n")}\n${steps.map(printStep).join("")}`;
}

function printStep(step: BootstrapStep, index: number, steps: readonly BootstrapStep[]): string {
  const { id, title, cause, remedy, run } = step;
  const name = id.replaceAll("-", "_");
  return `
# ${index + 1} of ${steps.length}: ${title}
step=${quote(id)} cause=${quote(cause)} remedy=${quote(remedy)}
check_${name}() (
${checkScript(step)}
)
run_${name}() (
${run.length === 0 ? "false" : runScript(step)}
)
if check_${name} > /dev/null 2>&1; then
  echo "= $step"
else
  run_${name}
  check_${name}
  echo "+ $step"
fi
`;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
