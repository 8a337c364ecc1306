import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const START_TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 1 << 26;

/** A Docker daemon of a test alone. */
export interface TestDocker {
  /** Runs `docker ARGS` and gives what it prints. */
  docker(...args: readonly string[]): Promise<string>;
  /** Runs `docker-compose ARGS` in a folder. */
  compose(cwd: string, ...args: readonly string[]): Promise<string>;
  /** Runs a program of this machine in the daemon's network, where the containers are. */
  inNetwork(program: string, ...args: readonly string[]): Promise<string>;
  /** Words that run a program with the daemon's mounts, which are not this machine's. */
  readonly enter: readonly string[];
  stop(): Promise<void>;
}

/**
 * Starts a daemon from Debian's `docker.io` with a socket, data and a network namespace of its own, so that nothing of this machine's
 * network changes. Needs root. Containers talk to each other; nothing outside the namespace reaches them.
 */
export async function startDocker(): Promise<TestDocker> {
  const folder = await mkdtemp(join(tmpdir(), "cloister-docker-"));
  const at = (name: string): string => join(folder, name);
  const host = `unix://${at("docker.sock")}`;
  const words = ["--host", host, "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
  const script = 'ip link set lo up && exec dockerd "$@"';
  const daemon = spawn("unshare", ["--net", "--mount", "sh", "-c", script, "sh", ...words], { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => {
    daemon.once("close", () => resolve()).once("error", () => resolve());
  });
  const env = { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: "0" };
  const run = async (program: string, args: readonly string[], cwd?: string): Promise<string> => {
    const options = { env, maxBuffer: MAX_OUTPUT_BYTES, ...(cwd !== undefined && { cwd }) };
    return (await promisify(execFile)(program, args, options)).stdout;
  };
  const stop = async (): Promise<void> => {
    daemon.kill("SIGTERM");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  for (const endsAt = Date.now() + START_TIMEOUT_MS; ; await sleep(200)) {
    if (await run("docker", ["version"]).then(Boolean, () => false)) break;
    if (daemon.exitCode === null && Date.now() < endsAt) continue;
    await stop();
    throw new Error("the Docker daemon did not come up: is docker.io installed, and is this root?");
  }
  return {
    docker: (...args) => run("docker", args),
    compose: (cwd, ...args) => run("docker-compose", args, cwd),
    inNetwork: (...words) => run("nsenter", ["--net", "--target", String(daemon.pid), "--", ...words]),
    enter: ["nsenter", "--mount", "--target", String(daemon.pid), "--"],
    stop,
  };
}
