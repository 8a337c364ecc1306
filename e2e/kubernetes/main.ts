// The test cluster. `up` runs it until Ctrl-C; `test` runs the layers on it; both remove everything at the end.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { join } from "node:path";
import { namespacePath } from "./rig/network.ts";
import { type Rig, startRig } from "./rig/rig.ts";

const say = (text: string): void => void process.stderr.write(`rig: ${text}\n`);

// A second signal, as npm passes one on, must not cut the removal short.
const ended = new Promise<void>((resolve) => {
  process.on("SIGINT", () => resolve()).on("SIGTERM", () => resolve());
});

async function up(): Promise<number> {
  const rig = await startRig({ withNodes: true, say });
  say(`export KUBECONFIG=${rig.kubeconfig}`);
  say(`nsenter --net=${namespacePath(rig.namespace)} for a shell that reaches it; Ctrl-C ends it`);
  await ended;
  await rig.stop();
  return 0;
}

/** Runs a program of ours inside the control plane's network, with the rig's facts in the environment. */
async function runInside(rig: Rig, args: readonly string[]): Promise<number> {
  const child = spawn("nsenter", [`--net=${namespacePath(rig.namespace)}`, process.execPath, ...args], {
    stdio: "inherit",
    env: { ...process.env, CLOISTER_RIG: join(rig.folder, "rig.json") },
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  const result = await Promise.race([closed, ended]);
  if (result === undefined) child.kill("SIGTERM");
  return (await closed)[0] ?? 1;
}

/** Starts a rig for one run. */
async function onRig(args: readonly string[]): Promise<number> {
  const rig = await startRig({ withNodes: true, say });
  try {
    return await runInside(rig, args);
  } finally {
    await rig.stop();
  }
}

const [command, ...rest] = process.argv.slice(2);
if (command === "up") process.exitCode = await up();
else if (command === "test") {
  const files = rest.length > 0 ? rest : globSync(join(import.meta.dirname, "layers/*.test.ts")).sort();
  process.exitCode = await onRig(["--test", "--test-concurrency=1", ...files]);
} else if (command === "measure") process.exitCode = await onRig([join(import.meta.dirname, "measure.ts")]);
else {
  say("usage: main.ts up | main.ts test [FILE...] | main.ts measure");
  process.exitCode = 2;
}
