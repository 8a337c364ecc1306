import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What was written to the files. */
interface DeviceEvent {
  readonly event: "ready" | "report-data" | "key";
  readonly name?: string;
  readonly value?: string;
}

/** A `/dev/attestation` for any program, on a SIMULATED platform. */
export interface GramineDevice {
  /** Words that run a program where the files are. */
  readonly enter: readonly string[];
  /** The next key that a program writes, as hex. */
  key(): Promise<string>;
  stop(): Promise<void>;
}

interface DeviceOptions {
  /** Where the files appear; the folder is there. */
  readonly folder?: string;
  /** State file of the platform, and a file with the measurement in hex. */
  readonly platform: string;
  readonly mrenclave: string;
  readonly keys: readonly string[];
  /** Words that enter the mount namespace; without them a new one, where the folder is `/dev/attestation`. */
  readonly enter?: readonly string[];
}

/** A `/dev` of its own, with what programs and the device itself need of it. */
const OWN_DEV = `set -e
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9
mknod -m 600 /dev/fuse c 10 229
mkdir /dev/attestation
exec "$@"`;

/** Mounts the files and serves them from a process of its own. Needs root and a kernel with FUSE. */
export async function startGramineDevice(options: DeviceOptions): Promise<GramineDevice> {
  const { folder = "/dev/attestation", platform, mrenclave, keys } = options;
  const enter = options.enter ?? ["unshare", "--mount", "sh", "-c", OWN_DEV, "sh"];
  const main = join(import.meta.dirname, "main.ts");
  const [program = "", ...words] = [...enter, process.execPath, main, folder, platform, mrenclave, ...keys];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (event: DeviceEvent["event"]): Promise<DeviceEvent> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true)
        throw new Error(`Gramine's files ended before ${event}: is this root, and has the kernel FUSE?`);
      const message = JSON.parse(value) as DeviceEvent;
      if (message.event === event) return message;
    }
  };
  await next("ready");
  return {
    enter: options.enter ?? ["nsenter", "--mount", "--target", String(child.pid), "--"],
    key: async () => (await next("key")).value ?? "",
    stop: () => end(child),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}
