// Generates packages/encoding/src/gen from the project's .proto files. `--check` changes nothing and fails where the committed
// code is not what the .proto files give.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const GENERATED = "packages/encoding/src/gen";

function generate(intoDir: string): void {
  execFileSync(join(ROOT, "node_modules/.bin/buf"), ["generate", "--output", intoDir], { cwd: ROOT, stdio: "inherit" });
}

function readTree(dir: string): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(dir.length + 1), readFileSync(path, "utf8")];
    }),
  );
}

/** Paths whose content differs between the two trees, or that only one of them has. */
function differences(expected: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...expected.keys(), ...actual.keys()]);
  return [...paths].filter((path) => expected.get(path) !== actual.get(path)).toSorted();
}

function check(): void {
  const temporary = mkdtempSync(join(tmpdir(), "cloister-generate-"));
  try {
    generate(temporary);
    const drift = differences(readTree(join(temporary, GENERATED)), readTree(join(ROOT, GENERATED)));
    if (drift.length > 0) {
      console.error(`Generated code is not up to date. Run \`npm run generate\`.\n${drift.join("\n")}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

if (process.argv.includes("--check")) check();
else generate(ROOT);
