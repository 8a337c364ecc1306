// The schema that ScaledObjects are checked with offline is that of KEDA's own module, which `build` downloads.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../rig/images.ts";
import { run } from "../rig/process.ts";
import { type SchemaBundle, strictSchemas } from "../schemas.ts";

const SCHEMAS = join(ROOT, "packages/deploy/src/kubernetes/schemas/keda.json");
const KINDS = new Set(["keda.sh/v1alpha1/ScaledObject"]);

test("the committed schema of ScaledObject is that of the KEDA that it names", async () => {
  const committed = JSON.parse(await readFile(SCHEMAS, "utf8")) as SchemaBundle;
  const { keda = "" } = committed.versions;
  const go = ["mod", "download", "-json", `github.com/kedacore/keda/v2@${keda}`];
  const path = `${process.env["PATH"] ?? ""}:/usr/local/go/bin`;
  const { Dir: folder } = JSON.parse(await run("go", go, { GOTOOLCHAIN: "local", PATH: path })) as { Dir: string };
  const definition = await readFile(join(folder, "config/crd/bases/keda.sh_scaledobjects.yaml"), "utf8");
  const found = strictSchemas([], definition, KINDS, { keda });
  if (process.env["UPDATE_SCHEMAS"] === "1") await writeFile(SCHEMAS, `${JSON.stringify(found)}\n`);
  assert.deepEqual(found, committed);
});
