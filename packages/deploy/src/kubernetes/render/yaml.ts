import { stringify } from "yaml";
import type { RenderedObject } from "../objects.ts";

/** One object as YAML: sorted keys, no line folding, strings quoted where YAML 1.1 would read them as something else. */
export function objectYaml(object: object): string {
  return stringify(object, {
    sortMapEntries: (a, b) => rank(String(a.key)) - rank(String(b.key)) || (String(a.key) < String(b.key) ? -1 : 1),
    lineWidth: 0,
    version: "1.1",
    aliasDuplicateObjects: false,
  });
}

/** All objects as one stream. */
export function streamYaml(objects: readonly RenderedObject[]): string {
  return objects.map(({ object }) => `---\n${objectYaml(object)}`).join("");
}

const FIRST = ["apiVersion", "kind", "metadata"];

/** The three keys that tell what an object is come first, as people expect it. */
function rank(key: string): number {
  const index = FIRST.indexOf(key);
  return index === -1 ? FIRST.length : index;
}
