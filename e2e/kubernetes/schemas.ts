// Makes the strict schemas that rendered objects are checked with offline, from what an API server says about itself. Run on the rig:
// `main.ts test layers/api-server.test.ts` compares them, and writes them anew with UPDATE_SCHEMAS=1.
import { parseAllDocuments } from "yaml";

type Schema = Record<string, unknown>;

export interface SchemaBundle {
  /** Of Kubernetes and of the Gateway API. */
  readonly versions: Readonly<Record<string, string>>;
  /** `apps/v1/Deployment` to the name of its definition. */
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, Schema>>;
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const keyOf = ({ group, version, kind }: GroupVersionKind): string =>
  `${group === "" ? "" : `${group}/`}${version}/${kind}`;

/** Keeps the schemas that `kinds` need, without prose, and forbids what they do not name. */
export function strictSchemas(
  openApi: readonly object[],
  customDefinitions: string,
  kinds: ReadonlySet<string>,
  versions: Record<string, string>,
): SchemaBundle {
  const all = new Map<string, Schema>();
  const roots = new Map<string, string>();
  for (const document of openApi) {
    const { components } = document as { components?: { schemas?: Record<string, Schema> } };
    for (const [name, schema] of Object.entries(components?.schemas ?? {})) {
      all.set(name, schema);
      for (const gvk of (schema["x-kubernetes-group-version-kind"] ?? []) as GroupVersionKind[]) {
        if (kinds.has(keyOf(gvk))) roots.set(keyOf(gvk), name);
      }
    }
  }
  for (const [key, schema] of readCustomKinds(customDefinitions)) {
    if (!kinds.has(key)) continue;
    all.set(key, schema);
    roots.set(key, key);
  }
  const definitions: Record<string, Schema> = {};
  const queue = [...roots.values()];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (definitions[name] !== undefined) continue;
    definitions[name] = strict(all.get(name) ?? {}, queue) as Schema;
  }
  const sorted = <T>(entries: [string, T][]): Record<string, T> =>
    Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  return { versions, kinds: sorted([...roots]), definitions: sorted(Object.entries(definitions)) };
}

function readCustomKinds(text: string): [string, Schema][] {
  return parseAllDocuments(text).flatMap((document) => {
    type Version = { name: string; schema: { openAPIV3Schema: Schema } };
    const { kind, spec } = document.toJS() as {
      kind?: string;
      spec: { group: string; names: { kind: string }; versions: Version[] };
    };
    if (kind !== "CustomResourceDefinition") return [];
    return spec.versions.map(({ name, schema }): [string, Schema] => {
      const { properties, ...rest } = schema.openAPIV3Schema as { properties: Record<string, Schema> };
      // The API server checks the metadata of every object by its own schema.
      const metadata = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
      return [
        keyOf({ group: spec.group, version: name, kind: spec.names.kind }),
        { ...rest, properties: { ...properties, metadata } },
      ];
    });
  });
}

const LEFT_OUT = new Set(["description", "default", "format", "title", "example", "nullable"]);

function strict(value: unknown, references: string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => strict(item, references));
  if (typeof value !== "object" || value === null) return value;
  const schema = value as Schema;
  const entries = Object.entries(schema).filter(([key]) => !LEFT_OUT.has(key) && !key.startsWith("x-"));
  const result: Schema = {};
  for (const [key, content] of entries) {
    if (key === "properties") {
      const properties = Object.entries(content as Record<string, Schema>);
      result[key] = Object.fromEntries(properties.map(([name, inner]) => [name, strict(inner, references)]));
    } else if (key === "$ref") {
      const name = String(content).replace("#/components/schemas/", "");
      references.push(name);
      result[key] = `#/definitions/${name}`;
    } else result[key] = strict(content, references);
  }
  if (schema["x-kubernetes-int-or-string"] === true) result["type"] = ["integer", "string"];
  const isOpen =
    schema["x-kubernetes-preserve-unknown-fields"] === true || schema["additionalProperties"] !== undefined;
  if (result["properties"] !== undefined && !isOpen) result["additionalProperties"] = false;
  return result;
}
