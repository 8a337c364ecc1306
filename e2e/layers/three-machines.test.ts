import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { ROOT } from "../support/chain.ts";

// Runs the commands of docs/how-to/three-machines.md as they stand there. Needs root and iproute2; without them it fails.

const GUIDE = join(ROOT, "docs/how-to/three-machines.md");
const ROLES = ["owner", "host", "requester"] as const;
const ADDRESSES = { owner: "10.83.0.1", host: "10.83.0.2", requester: "10.83.0.3" } as const;
const READY_MS = 120_000;

type Role = (typeof ROLES)[number];

interface Block {
  readonly place: Role | "carry";
  readonly mode: string | undefined;
  readonly script: string;
}

const run = promisify(execFile);
const tag = `cl${process.pid}`;
const services: ChildProcess[] = [];
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-three-"));
  for (const role of ROLES) await mkdir(join(folder, role));
  await mkdir(join(folder, "bin"));
  const main = join(ROOT, "packages/cli/src/main.ts");
  await writeFile(join(folder, "bin/cloister"), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
  await chmod(join(folder, "bin/cloister"), 0o755);
  await makeNetwork();
});

after(async () => {
  for (const service of services) if (service.pid !== undefined) process.kill(-service.pid, "SIGKILL");
  for (const role of [...ROLES, "switch"])
    await run("ip", ["netns", "delete", `${tag}-${role}`]).catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
});

test("the guide's commands bring the chain up on three machines, with one-way and two-way TLS and a second replica", async () => {
  const blocks = readBlocks(await readFile(GUIDE, "utf8"));
  assert.equal(blocks.filter(({ mode }) => mode === "service").length, 4);
  const outputs: string[] = [];
  for (const block of blocks) outputs.push(await runBlock(block));
  const answers = outputs.filter((output) => /^ +0 +8 .*\b0\.9999/m.test(output));
  assert.equal(answers.length, 2);
  assert.match(answers[0] ?? "", /on replica-1/);
  assert.match(answers[1] ?? "", /on replica-2/);
  assert.match(outputs.at(-1) ?? "", /^2 entries verify$/m);
});

test("nothing secret came to the host", async () => {
  const wrapKey = await readFile(join(folder, "owner/keys/digits-1.wrap-key"));
  const passphrase = await readFile(join(folder, "owner/passphrase"));
  const model = await readFile(join(folder, "owner/models/digits/1/saved_model.pb"));
  const names = await readdir(join(folder, "host"), { recursive: true, withFileTypes: true });
  for (const entry of names.filter((name) => name.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    for (const secret of [wrapKey, passphrase, model.subarray(1000, 1064)]) assert.ok(!bytes.includes(secret), path);
    if (entry.name !== "platform.json") assert.ok(!bytes.includes("PRIVATE KEY-----"), path);
  }
});

/** Three namespaces on one bridge, in a fourth; nothing else is reached from them. */
async function makeNetwork(): Promise<void> {
  const ip = (...args: readonly string[]): Promise<unknown> => run("ip", args);
  await ip("netns", "add", `${tag}-switch`);
  await ip("-n", `${tag}-switch`, "link", "add", "bridge0", "type", "bridge");
  await ip("-n", `${tag}-switch`, "link", "set", "bridge0", "up");
  for (const [index, role] of ROLES.entries()) {
    const space = `${tag}-${role}`;
    await ip("netns", "add", space);
    await ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", `p${index}`, "netns", `${tag}-switch`);
    await ip("-n", `${tag}-switch`, "link", "set", `p${index}`, "master", "bridge0", "up");
    await ip("-n", space, "address", "add", `${ADDRESSES[role]}/24`, "dev", "eth0");
    await ip("-n", space, "link", "set", "eth0", "up");
    await ip("-n", space, "link", "set", "lo", "up");
  }
}

/** The fenced blocks of the guide whose first line is `sh PLACE [MODE]`. */
function readBlocks(guide: string): Block[] {
  return [...guide.matchAll(/^```sh (\w+)(?: (\w+))?\n(.*?)^```$/gms)].map(([, place, mode, script]) => {
    return { place: place as Block["place"], mode, script: script ?? "" };
  });
}

async function runBlock({ place, mode, script }: Block): Promise<string> {
  const words = place === "carry" ? [] : ["netns", "exec", `${tag}-${place}`];
  const [program, args] =
    place === "carry" ? ["sh", ["-e", "-c", script]] : ["ip", [...words, "sh", "-e", "-c", script]];
  const options = { cwd: place === "carry" ? folder : join(folder, place), env: environment() };
  if (mode === "service") return startService(program, args, options);
  const ended = await run(program, args, options).catch((error: { stdout: string; stderr: string }) => error);
  const failed = "code" in ended;
  assert.equal(failed, mode === "fails", `${script}\n${ended.stdout}${ended.stderr}`);
  return ended.stdout;
}

/** Starts what goes on running, and waits for the line that says that it is ready. */
async function startService(program: string, args: readonly string[], options: object): Promise<string> {
  const service = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "inherit"], detached: true });
  services.push(service);
  let output = "";
  service.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const closed = once(service, "close");
  for (const endsAt = Date.now() + READY_MS; !/"started"|"ready"|passes TLS through/.test(output);) {
    assert.ok(Date.now() < endsAt && service.exitCode === null, `not ready: ${output}`);
    await Promise.race([sleep(100), closed]);
  }
  return output;
}

function environment(): NodeJS.ProcessEnv {
  const images = join(ROOT, "examples/digits/images");
  return {
    ...process.env,
    PATH: `${join(folder, "bin")}:${process.env["PATH"] ?? ""}`,
    OWNER: ADDRESSES.owner,
    HOST: ADDRESSES.host,
    MODEL: join(ROOT, "examples/digits/saved_model"),
    IMAGE: join(images, "000.png"),
  };
}
