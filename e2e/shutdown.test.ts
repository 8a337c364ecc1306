import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";
import { spawnCli } from "./support/cli.ts";

const ARGS = ["up", "--port", "0", "--broker-port", "0", "--gateway", "built-in", "--requests", "1"];

describe("cloister up leaves nothing behind", () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), "cloister-down-"));
  });
  afterEach(() => rm(cwd, { recursive: true }));

  /** Starts with --keep and resolves with the process and the gateway's port once it stays up. */
  async function startKept(...more: readonly string[]) {
    const child = spawnCli([...ARGS, "--keep", ...more], cwd);
    assert.ok(child.stdout);
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) {
      const port = /^gateway \S+:(\d+)/.exec(line)?.[1];
      if (port !== undefined) return { child, port: Number(port), lines };
    }
    throw new Error("the chain ended by itself");
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`after ${signal}, with exit code 0, and keeps the requester's key to the requester`, async () => {
      const { child, port } = await startKept();
      const key = join(cwd, ".cloister/requester/client-key.pem");
      assert.equal((await stat(key)).mode & 0o777, 0o600, "the requester's key is the requester's alone");
      assert.match(await readFile(key, "utf8"), /^-----BEGIN PRIVATE KEY-----/);
      assert.ok(await isOpen(port));
      const replicas = childrenOf(child.pid ?? 0);
      assert.equal(replicas.length, 2);
      const ended = once(child, "close") as Promise<[number | null]>;
      child.kill(signal);
      child.stdout?.resume();
      assert.equal((await ended)[0], 0);
      assert.equal(await isOpen(port), false);
      for (const pid of replicas) assert.equal(isAlive(pid), false, `the replica ${pid} is still there`);
    });
  }

  test("after SIGINT while it comes up", async () => {
    const child = spawnCli(ARGS, cwd);
    assert.ok(child.stdout);
    const ended = once(child, "close") as Promise<[number | null]>;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes("start the gateway")) break;
    }
    let replicas: number[] = [];
    for (let waitedMs = 0; replicas.length === 0; waitedMs += 20) {
      assert.ok(waitedMs < 10_000, "no replica was started");
      await new Promise((resolve) => setTimeout(resolve, 20));
      replicas = childrenOf(child.pid ?? 0);
    }
    child.kill("SIGINT");
    child.stdout.resume();
    assert.equal((await ended)[0], 1);
    for (const pid of replicas) assert.equal(isAlive(pid), false, `the replica ${pid} is still there`);
  });

  test("after it was killed: replicas end with the platform that vouches for them", async () => {
    const { child } = await startKept("--replicas", "1");
    const replicas = childrenOf(child.pid ?? 0);
    assert.equal(replicas.length, 1);
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    for (let waitedMs = 0; replicas.some(isAlive); waitedMs += 50) {
      assert.ok(waitedMs < 10_000, "a replica outlived its platform");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});

/** Processes whose parent is `pid`, from the fourth field of their status line (proc(5)). */
function childrenOf(pid: number): number[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return numbers.map(Number).filter((child) => parentOf(child) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command in parentheses, which may hold anything.
    return Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
