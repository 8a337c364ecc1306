import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { glob } from "node:fs/promises";
import { LAYERS } from "./layers.ts";

// npm run build: publishable packages below dist/packages/NAME: JavaScript with declarations, and a package.json whose exports and
// bin point at them. In development the exports point at the TypeScript sources, so nothing has to be built.

const root = resolve(import.meta.dirname, "..");
const out = join(root, "dist", "packages");
const NOT_SHIPPED = ["**/*.test.ts", "**/testing/**", "**/test-*.ts"];

interface PackageJson {
  name: string;
  /** A path, or paths by condition: browsers get other modules for a few. */
  exports?: Record<string, string | Record<string, string>>;
  bin?: Record<string, string>;
  files?: string[];
  [key: string]: unknown;
}

await rm(out, { recursive: true, force: true });
for (const name of LAYERS) {
  const from = join(root, "packages", name);
  const description = await readFile(join(from, "package.json"), "utf8").catch(() => undefined);
  if (description === undefined) continue;
  await build(name, from, JSON.parse(description) as PackageJson);
  console.log(`built dist/packages/${name}`);
}

async function build(name: string, from: string, description: PackageJson): Promise<void> {
  const to = join(out, name);
  await mkdir(to, { recursive: true });
  const config = join(to, "tsconfig.json");
  await writeFile(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        sourceMap: false,
        rootDir: join(from, "src"),
        outDir: join(to, "src"),
        typeRoots: [join(root, "node_modules/@types")],
      },
      include: [join(from, "src")],
      exclude: NOT_SHIPPED.map((pattern) => join(from, "src", pattern)),
    }),
  );
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config], { stdio: "inherit" });
  await rm(config);
  for await (const file of glob("src/gen/**/*.{js,d.ts}", { cwd: from })) await cp(join(from, file), join(to, file));
  await cp(join(root, "LICENSE"), join(to, "LICENSE"));
  await writeFile(join(to, "package.json"), `${JSON.stringify(publishable(description), null, 2)}\n`);
}

function publishable(description: PackageJson): PackageJson {
  const built = (path: string): string => path.replace(/\.ts$/, ".js");
  const types = (path: string): string => path.replace(/\.[tj]s$/, ".d.ts");
  const conditions = (path: string): object => ({ types: types(path), default: built(path) });
  const exports = Object.entries(description.exports ?? {}).map(([key, target]) => [
    key,
    typeof target === "string"
      ? conditions(target)
      : Object.fromEntries(Object.entries(target).map(([condition, path]) => [condition, conditions(path)])),
  ]);
  const bin = Object.entries(description.bin ?? {}).map(([key, path]) => [key, built(path)]);
  return {
    ...description,
    exports: Object.fromEntries(exports) as Record<string, string>,
    ...(bin.length > 0 && { bin: Object.fromEntries(bin) as Record<string, string> }),
    files: ["src", "LICENSE"],
  };
}
