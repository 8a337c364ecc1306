/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/** The steps that turn one JSON value into another. Lists of different length are replaced as a whole. */
export function jsonPatch(from: unknown, to: unknown, path = ""): PatchStep[] {
  if (isMapping(from) && isMapping(to)) return mappingPatch(from, to, path);
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length) {
    return from.flatMap((item, index) => jsonPatch(item, to[index], `${path}/${index}`));
  }
  return Object.is(from, to) ? [] : [{ op: "replace", path, value: to }];
}

function mappingPatch(from: Mapping, to: Mapping, path: string): PatchStep[] {
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return keys.flatMap((key): PatchStep[] => {
    const at = `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (!Object.hasOwn(to, key)) return [{ op: "remove", path: at }];
    if (!Object.hasOwn(from, key)) return [{ op: "add", path: at, value: to[key] }];
    return jsonPatch(from[key], to[key], at);
  });
}

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
