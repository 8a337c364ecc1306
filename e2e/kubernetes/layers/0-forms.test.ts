// Plain YAML, Helm chart and Kustomize overlays give equal objects, with Helm 3, Helm 4 and kubectl's Kustomize.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import {
  PRESETS,
  readSettings,
  renderFiles,
  renderObjects,
  type RenderFormat,
  valuesOf,
} from "@cloister/deploy/kubernetes";
import { parseAllDocuments } from "yaml";
import { programPath } from "../rig/layout.ts";
import { run } from "../rig/process.ts";
import { CASES, TEST_MANIFEST, testSettings } from "@cloister/deploy/kubernetes/testing";

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), "cloister-forms-"))));
after(() => rm(folder, { recursive: true }));

async function write(format: RenderFormat, name: string): Promise<string> {
  const target = join(folder, name, format);
  const files = renderFiles(format, readSettings(testSettings(CASES[name])), TEST_MANIFEST);
  for (const [path, text] of files) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), text);
  }
  return target;
}

/** Helm asks no cluster here; a build of its own assumes an old one. */
const VERSION = ["--kube-version", "1.36.3"];

type AnyObject = { kind: string; metadata: { name: string; namespace?: string } };

/** Objects by kind and name: no form promises an order. */
function byName(objects: readonly unknown[]): Record<string, unknown> {
  const named = (objects as AnyObject[]).map((object): [string, unknown] => {
    const { kind, metadata } = object;
    return [`${kind} ${metadata.namespace ?? ""}/${metadata.name}`, object];
  });
  return Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const parse = (text: string): unknown[] =>
  parseAllDocuments(text, { version: "1.1" })
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null);

for (const name of Object.keys(CASES)) {
  test(`${name}: all forms give the objects that render gives, for every preset`, async () => {
    const chart = await write("helm", name);
    const tree = await write("kustomize", name);
    for (const preset of PRESETS) {
      const values = valuesOf(readSettings(testSettings(CASES[name])), TEST_MANIFEST, preset);
      const expected = byName(renderObjects(values).map(({ object }) => object));
      const overlay = await run(programPath("kubectl"), ["kustomize", join(tree, "overlays", preset)]);
      assert.deepEqual(byName(parse(overlay)), expected, `kustomize ${preset}`);
      for (const helm of ["helm3", "helm4"] as const) {
        const text = await run(
          programPath(helm),
          ["template", "x", chart, ...VERSION, "-f", join(chart, `values-${preset}.yaml`)],
          { HOME: folder },
        );
        assert.deepEqual(byName(parse(text)), expected, `${helm} ${preset}`);
      }
    }
    for (const helm of ["helm3", "helm4"] as const)
      await run(programPath(helm), ["lint", "--strict", ...VERSION, chart], { HOME: folder });
  });
}

test("the chart's schema refuses what settings would refuse", async () => {
  const chart = await write("helm", "simulation");
  for (const set of ['image=x"y', "preset=unknown", "replicas.minimum=0", "unknown=1"]) {
    for (const helm of ["helm3", "helm4"] as const) {
      await assert.rejects(
        run(programPath(helm), ["template", "x", chart, ...VERSION, "--set", set], { HOME: folder }),
        /don't meet the specifications of the schema/,
        `${helm} ${set}`,
      );
    }
  }
});
