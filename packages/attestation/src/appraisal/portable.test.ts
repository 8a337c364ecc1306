import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { loadCase } from "../rim/testing/dcap-bundle.ts";

const PACKAGES = new URL("../../../", import.meta.url);
const ENTRY = new URL("webcrypto.ts", import.meta.url);

/** `import type` is gone before a module runs; a list with types in it is not. */
const IMPORT = /^(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;

interface PackageJson {
  readonly exports: Readonly<Record<string, string>>;
}

function resolve(specifier: string, from: URL): URL | undefined {
  if (specifier.startsWith(".")) return new URL(specifier, from);
  const [, name, path] = /^@cloister\/([^/]+)(\/.+)?$/.exec(specifier) ?? [];
  if (name === undefined) return undefined;
  const folder = new URL(`${name}/`, PACKAGES);
  const { exports } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as PackageJson;
  return new URL(exports[`.${path ?? ""}`] ?? assert.fail(specifier), folder);
}

/** Every module that runs with the entry point, and the imports that lead out of this project. */
function walk(entry: URL): { modules: ReadonlySet<string>; foreign: readonly string[] } {
  const modules = new Set<string>();
  const foreign: string[] = [];
  const waiting = [entry];
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    if (modules.has(module.href)) continue;
    modules.add(module.href);
    assert.ok(existsSync(module), module.href);
    for (const [, specifier = ""] of readFileSync(module, "utf8").matchAll(IMPORT)) {
      const target = resolve(specifier, module);
      if (target === undefined) foreign.push(`${specifier} in ${module.pathname.split("/").at(-1) ?? ""}`);
      else waiting.push(target);
    }
  }
  return { modules, foreign };
}

test("the WebCrypto entry point imports nothing of Node's and nothing of others", () => {
  const { modules, foreign } = walk(ENTRY);
  assert.deepEqual(foreign, []);
  // So the walk did walk.
  assert.ok(modules.size > 30);
  assert.ok([...modules].some((href) => href.endsWith("/encoding/src/der/der.ts")));
});

test("the walk does see imports of Node's modules", () => {
  assert.ok(walk(new URL("appraise.ts", import.meta.url)).foreign.includes("node:crypto in node-crypto.ts"));
});

test("an appraisal on WebCrypto needs no global of Node's", () => {
  const ids = ["sgx-00606a-2025-08/valid", "tdx4-20a06f-uptodate/valid", "syn-rev-pck"];
  const program = `
    import { readFileSync } from "node:fs";
    const revive = (_name, value) => (value?.bytes ? Uint8Array.from(value.bytes) : value);
    const cases = JSON.parse(readFileSync(0, "utf8"), revive);
    const { log } = console;
    for (const name of ["Buffer", "setImmediate", "clearImmediate", "global", "process"]) delete globalThis[name];
    const { appraiseAsync } = await import("./webcrypto.ts");
    for (const { quote, collateral, anchors, time } of cases) {
      const claims = appraiseAsync({ quote }, collateral, anchors, new Date(time));
      log(await claims.then(({ tcb }) => tcb.status, ({ code }) => code));
    }
  `;
  const input = JSON.stringify(ids.map(loadCase), (_name, value: unknown) => {
    return value instanceof Uint8Array ? { bytes: [...value] } : value;
  });
  const options = { cwd: new URL(".", import.meta.url), encoding: "utf8", input } as const;
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", program], options);
  assert.deepEqual(printed.trim().split("\n"), ["SWHardeningNeeded", "UpToDate", "PCK_CERTIFICATE_REVOKED"]);
});
