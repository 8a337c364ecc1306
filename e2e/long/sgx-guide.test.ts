import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ROOT } from "../support/chain.ts";

// Runs what the owner does in docs/how-to/run-on-sgx.md as it stands there, and compares what it prints. Gramine and the server are
// stand-ins: any library, any program.

const GUIDE = join(ROOT, "docs/how-to/run-on-sgx.md");
const run = promisify(execFile);

interface Block {
  readonly isService: boolean;
  readonly script: string;
  /** What the guide says that it prints; `…` stands for anything. */
  readonly prints: string;
}

let folder: string;
let environment: NodeJS.ProcessEnv;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cloister-guide-"));
  const at = (...names: readonly string[]): string => join(folder, ...names);
  const main = join(ROOT, "packages/cli/src/main.ts");
  await mkdir(at("bin"));
  await writeFile(at("bin/cloister"), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
  await chmod(at("bin/cloister"), 0o755);
  await cp(join(ROOT, "examples/digits/saved_model"), at("owner/models/digits/1"), { recursive: true });
  const libraries = await libraryPaths();
  await mkdir(at("gramine/runtime/glibc"), { recursive: true });
  await mkdir(at("gramine/sgx"));
  for (const path of libraries) await symlink(path, at("gramine/runtime/glibc", basename(path)));
  const any = libraries.find((path) => basename(path).startsWith("libm.")) ?? "";
  for (const name of ["libsysdb.so", "sgx/libpal.so", "runtime/glibc/libsecret_prov_attest.so"])
    await copyFile(any, at("gramine", name));
  environment = {
    ...process.env,
    PATH: `${at("bin")}:${process.env["PATH"] ?? ""}`,
    GRAMINE: at("gramine"),
    SERVER: process.execPath,
    // Nobody asks it: no enclave comes.
    PCCS: "https://pccs.example.com:8081/sgx/certification/v4/",
  };
});

after(() => rm(folder, { recursive: true, force: true }));

test("the owner's commands of the guide to SGX machines run, and print what it says", async () => {
  const blocks = readBlocks(await readFile(GUIDE, "utf8"));
  assert.ok(blocks.length > 10);
  for (const { isService, script, prints } of blocks) {
    const output = isService ? await firstLine(script) : await runScript(script);
    assert.match(output, pattern(prints), `${script}\nprinted\n${output}`);
  }
});

test("every command of ours in the guides to SGX, images and providers takes the options that it is shown with", async () => {
  const how = join(ROOT, "docs/how-to");
  const names = (await readdir(how)).filter((name) => /^(?:cloud-.*|run-on-sgx|build-images)\.md$/.test(name));
  const help = new Map<string, string>();
  let commands = 0;
  for (const name of names) {
    for (const { words, options } of readCommands(await readFile(join(how, name), "utf8"))) {
      const known =
        help.get(words) ?? (await run(join(folder, "bin/cloister"), [...words.split(" "), "--help"])).stdout;
      help.set(words, known);
      for (const option of options) assert.ok(known.split(/[\s,]+/).includes(option), `${name}: ${words} ${option}`);
      commands++;
    }
  }
  assert.ok(names.length === 7 && commands > 40, `${commands} commands`);
});

/** Our commands in the blocks of a guide, each with the options that it is given. */
function readCommands(text: string): { readonly words: string; readonly options: readonly string[] }[] {
  const blocks = [...text.matchAll(/^```sh.*\n([\s\S]*?)^```$/gm)].map(([, content = ""]) =>
    content.replaceAll("\\\n", " "),
  );
  const lines = blocks.flatMap((block) => block.split("\n")).map((line) => line.replace(/\s#\s.*$/, ""));
  return lines.flatMap((line) => {
    // A command of its own, or one that a container runs.
    const [, command] = /(?:^|&& )cloister (?=[a-z])(.*)$/.exec(line) ?? /\/main\.js (.*)$/.exec(line) ?? [];
    if (command === undefined) return [];
    const tokens = command.trim().split(/\s+/);
    const end = tokens.findIndex((token) => !/^[a-z][a-z-]*$/.test(token));
    const words = tokens.slice(0, end === -1 ? undefined : end).join(" ");
    return [{ words, options: tokens.filter((token) => token.startsWith("--")) }];
  });
}

/** Libraries of Node.js and the loader, as this machine's linker finds them. */
async function libraryPaths(): Promise<string[]> {
  const { stdout } = await run("ldd", [process.execPath]);
  return [...stdout.matchAll(/(\/\S+) \(0x[0-9a-f]+\)/g)].map(([, path = ""]) => path);
}

/** Blocks for the owner, each with the block after it. */
function readBlocks(text: string): Block[] {
  const blocks = [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = "", content = ""]) => ({
    info,
    content,
  }));
  return blocks.flatMap(({ info, content }, index) => {
    const [language, place, mode] = info.split(" ");
    if (language !== "sh" || place !== "owner") return [];
    const prints = blocks[index + 1];
    assert.equal(prints?.info, "", `the guide says what this prints: ${content}`);
    return [{ isService: mode === "service", script: content, prints: prints.content }];
  });
}

/** `…` in a line stands for a part of it, alone in a line for any lines. */
function pattern(prints: string): RegExp {
  const lines = prints.trimEnd().split("\n");
  const parts = lines.map((line) =>
    line === "…" ? "(?:.*\\n)*?" : `${line.split("…").map(literally).join(".*")} *\\n`,
  );
  return new RegExp(`^${parts.join("")}$`);
}

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");

async function runScript(script: string): Promise<string> {
  const options = { cwd: join(folder, "owner"), env: environment };
  const { stdout } = await run("sh", ["-e", "-c", script], options);
  return stdout;
}

/** Starts what goes on running, and ends it after its first line. */
async function firstLine(script: string): Promise<string> {
  const options = { cwd: join(folder, "owner"), env: environment };
  const command = `exec ${script.trimEnd()} --host 127.0.0.1 --port 0 --health-port 0`;
  const service = spawn("sh", ["-c", command], { ...options, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(service, "close");
  try {
    for await (const line of createInterface({ input: service.stdout })) return `${line}\n`;
    return "";
  } finally {
    service.kill("SIGTERM");
    await closed;
  }
}
