// The test cluster. `up` runs it until Ctrl-C; `test` runs the layers on it; both remove everything at the end.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { join } from "node:path";
import { namespacePath } from "./rig/network.ts";
import { startRig } from "./rig/rig.ts";

const say = (text: string): void => void process.stderr.write(`rig: ${text}\n`);

async function up(): Promise<number> {
  const rig = await startRig({ withNodes: true, say });
  say(`export KUBECONFIG=${rig.kubeconfig}`);
  say(`nsenter --net=${namespacePath(rig.namespace)} for a shell that reaches it; Ctrl-C ends it`);
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  await rig.stop();
  return 0;
}

/** Runs test files inside the control plane's network, with the rig's folder in the environment. */
async function test(names: readonly string[]): Promise<number> {
  const files = names.length > 0 ? names : globSync(join(import.meta.dirname, "layers/*.test.ts")).sort();
  const rig = await startRig({ withNodes: true, say });
  const stop = (): void => void rig.stop().then(() => process.exit(1));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const child = spawn(
      "nsenter",
      [`--net=${namespacePath(rig.namespace)}`, process.execPath, "--test", "--test-concurrency=1", ...files],
      { stdio: "inherit", env: { ...process.env, CLOISTER_RIG: join(rig.folder, "rig.json") } },
    );
    const [code] = (await once(child, "close")) as [number | null];
    return code ?? 1;
  } finally {
    await rig.stop();
  }
}

const [command, ...rest] = process.argv.slice(2);
if (command === "up") process.exitCode = await up();
else if (command === "test") process.exitCode = await test(rest);
else {
  say("usage: main.ts up | main.ts test [FILE...]");
  process.exitCode = 2;
}
