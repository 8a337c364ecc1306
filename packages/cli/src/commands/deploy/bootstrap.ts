import {
  type BootstrapStep,
  bootstrapPlan,
  bootstrapScript,
  checkScript,
  localShell,
  NODE_ROLES,
  type NodeRole,
  readNodeSettings,
  runScript,
  runSteps,
} from "@cloister/deploy/node";
import { Command, Option } from "commander";
import { EXIT } from "../../output/exit-code.ts";
import { openTerminal } from "../../output/terminal.ts";

interface BootstrapFlags {
  readonly role: NodeRole;
  readonly run?: boolean;
  readonly json?: boolean;
}

/** `cloister deploy bootstrap`: this machine becomes a node of a cluster. */
export function bootstrapCommand(setExit: (code: number) => void): Command {
  return new Command("bootstrap")
    .description(
      "Print the steps that make this machine a Kubernetes node (Debian, Ubuntu), as a script; --run does them.",
    )
    .addOption(new Option("--role <role>", "what the machine becomes").choices(NODE_ROLES).default("control-plane"))
    .option("--run", "do the steps here, as root; those that are done already are left alone")
    .option("--kubernetes <minor>", "minor version (default: 1.36)")
    .option("--pod-subnet <cidr>", "addresses of pods (default: 10.244.0.0/16)")
    .option("--endpoint <host:port>", "name of the API server for nodes and clients (control plane)")
    .option("--node-name <name>", "name of the node (control plane; default: the host's)")
    .option("--schedule", "let pods run on the control plane too: a cluster of one machine")
    .option("--sgx", "refuse a machine without SGX devices")
    .option("--join-file <path>", "file that workers join with (default: /etc/kubernetes/cloister-join.yaml)")
    .option("--image-repository <name>", "mirror of the control plane's images")
    .option("--kubernetes-repository <url>", "mirror of Kubernetes' packages, signed by the same key")
    .option("--containerd-repository <url>", "mirror of Docker's packages, signed by the same key")
    .option("--flannel-manifest <url>", "another version or a mirror of Flannel's manifest")
    .option("--json", "print JSON: the steps, or their results one a line")
    .action(async ({ run, json, ...input }: BootstrapFlags) => {
      const settings = readNodeSettings(input);
      const steps = bootstrapPlan(settings);
      if (run === true) await perform(settings.role, steps, json === true);
      else print(settings.role, steps, json === true);
      setExit(EXIT.done);
    });
}

function print(role: NodeRole, steps: readonly BootstrapStep[], asJson: boolean): void {
  const described = steps.map((step) => ({
    ...step,
    check: checkScript(step),
    run: step.run.length === 0 ? null : runScript(step),
  }));
  process.stdout.write(asJson ? `${JSON.stringify({ role, steps: described })}\n` : bootstrapScript(role, steps));
}

/** What steps say goes to standard error, so that standard output has one line for each of them. */
async function perform(role: NodeRole, steps: readonly BootstrapStep[], asJson: boolean): Promise<void> {
  const terminal = openTerminal(asJson);
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const results = await runSteps(steps, {
    execute: localShell((text) => process.stderr.write(text)),
    onStart: ({ title }) => terminal.status(`  ${title} …`),
    onEnd: ({ id, state }) => {
      terminal.line(`${state === "done" ? "+" : "="} ${id}`);
      if (asJson) process.stdout.write(`${JSON.stringify({ id, state })}\n`);
    },
    signal: interrupt.signal,
  });
  process.off("SIGINT", stop).off("SIGTERM", stop);
  const done = results.filter(({ state }) => state === "done").length;
  terminal.line(`this machine is a ${role}: ${done} steps done, ${results.length - done} were done before`);
  if (role === "control-plane") {
    terminal.line("kubectl:  export KUBECONFIG=/etc/kubernetes/admin.conf");
    terminal.line("workers:  copy the join file there, then cloister deploy bootstrap --role worker --run");
  }
}
