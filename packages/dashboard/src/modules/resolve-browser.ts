import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { pathToFileURL } from "node:url";

/** In this order: the first that a package has counts. */
const CONDITIONS = ["browser", "import", "default"];

type Target = string | { readonly [condition: string]: Target };

/**
 * The file that a specifier in `from` means in a browser (Node's package `exports`, with the condition "browser"). Throws where
 * there is none, and for Node's own modules, which no browser has.
 */
export function resolveForBrowser(specifier: string, from: URL): URL {
  if (specifier.startsWith("node:")) throw new TypeError(`${from.href} imports ${specifier}, which no browser has`);
  if (/^\.{0,2}\//.test(specifier)) return new URL(specifier, from);
  const path = findPackageJSON(specifier, from);
  if (path === undefined) throw new TypeError(`${from.href} imports ${specifier}, which is not installed`);
  const { name, exports } = JSON.parse(readFileSync(path, "utf8")) as { name: string; exports: Record<string, Target> };
  const target = targetOf(exports, `.${specifier.slice(name.length)}`);
  if (target === undefined) throw new TypeError(`${name} does not export ${specifier}`);
  return new URL(target, pathToFileURL(path));
}

function targetOf(exports: Readonly<Record<string, Target>>, subpath: string): string | undefined {
  const exact = exports[subpath];
  if (exact !== undefined) return conditional(exact);
  for (const [pattern, target] of Object.entries(exports)) {
    const [start = "", end] = pattern.split("*");
    if (end === undefined || !subpath.startsWith(start) || !subpath.endsWith(end)) continue;
    return conditional(target)?.replace("*", subpath.slice(start.length, subpath.length - end.length));
  }
  return undefined;
}

function conditional(target: Target): string | undefined {
  if (typeof target === "string") return target;
  const condition = CONDITIONS.find((name) => Object.hasOwn(target, name));
  return condition === undefined ? undefined : conditional(target[condition] ?? {});
}
