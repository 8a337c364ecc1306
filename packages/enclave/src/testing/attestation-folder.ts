import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { openSimulatedPlatform } from "../simulated/keep-platform.ts";

const STAND_IN = fileURLToPath(new URL("attestation-stand-in.ts", import.meta.url));
const run = promisify(execFile);

/** A folder that behaves like a TEE's attestation files. */
export interface AttestationFolder {
  readonly folder: string;
  readonly platform: SimulatedPlatform;
  /** What was written to it, as hex, in order. */
  readonly seen: { readonly reportData?: string; readonly key?: string }[];
  /** Resolves when that many writes were seen. */
  readonly until: (writes: number) => Promise<void>;
}

/** What a test may decide about the platform behind the files. */
interface AttestationFolderOptions {
  /** State file of the platform; without one a new platform is made. */
  readonly stateFile?: string;
  /** Measurement in its quotes, hex. */
  readonly mrenclave?: string;
}

/** Makes the files of Gramine's `/dev/attestation`, or of one configfs-tsm entry, served by a process of its own. */
export async function startAttestationFolder(
  t: TestContext,
  kind: "gramine" | "tdx",
  { stateFile, mrenclave = "5a".repeat(32) }: AttestationFolderOptions = {},
): Promise<AttestationFolder> {
  const base = await mkdtemp(join(tmpdir(), "attestation-"));
  t.after(() => rm(base, { recursive: true }));
  const folder = join(base, "files");
  await mkdir(join(folder, "keys"), { recursive: true });
  const platform =
    stateFile === undefined ? createSimulatedPlatform({ now: new Date() }) : await openSimulatedPlatform(stateFile);
  const state = stateFile ?? join(base, "state");
  if (stateFile === undefined) await writeFile(state, platform.save().reveal(), { mode: 0o600 });
  const [pipes, files] =
    kind === "tdx"
      ? [["inblob", "outblob"], { provider: "tdx_guest\n", generation: "0\n" }]
      : [["user_report_data", "quote", "keys/default"], { attestation_type: "dcap" }];
  await run(
    "mkfifo",
    pipes.map((name) => join(folder, name)),
  );
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const child = fork(STAND_IN, [kind, folder, state, mrenclave]);
  t.after(async () => {
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  });
  const seen: AttestationFolder["seen"] = [];
  await once(child, "message");
  child.on("message", (message: AttestationFolder["seen"][number]) => seen.push(message));
  const until = async (writes: number): Promise<void> => {
    while (seen.length < writes) await once(child, "message");
  };
  return { folder, platform, seen, until };
}
