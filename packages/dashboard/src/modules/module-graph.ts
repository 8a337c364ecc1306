import { existsSync, readFileSync, realpathSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { pathToFileURL } from "node:url";
import { resolveForBrowser } from "./resolve-browser.ts";

/** Modules for a browser: their texts by path, and the import map that leads names to those paths. */
export interface BrowserModules {
  readonly importMap: { readonly imports: Readonly<Record<string, string>> };
  readonly texts: ReadonlyMap<string, string>;
}

/** Static imports and re-exports. One that only looks like it, in a comment, is not found and left out. */
const IMPORT = /^(?:import|export|\})[^\n"']*\bfrom *["']([^"'\n]+)["']|^import *["']([^"'\n]+)["']/gm;

/**
 * Everything that the modules named by `entries` import, as a browser would load it, each below `base`. TypeScript loses its types.
 * Throws where one of them imports what no browser has.
 */
export function moduleGraph(entries: readonly string[], from: URL, base: string): BrowserModules {
  const texts = new Map<string, string>();
  const imports: Record<string, string> = {};
  const visit = (specifier: string, importer: URL): void => {
    // Packages of the workspace are links.
    const file = pathToFileURL(realpathSync(resolveForBrowser(specifier, importer)));
    const path = servedPath(file, base);
    if (!specifier.startsWith(".")) imports[specifier] = path;
    if (texts.has(path)) return;
    const source = readFileSync(file, "utf8");
    const text = file.pathname.endsWith(".ts") ? stripTypeScriptTypes(source) : source;
    texts.set(path, text);
    for (const [, name = "", bare = name] of text.matchAll(IMPORT)) visit(name === "" ? bare : name, file);
  };
  for (const entry of entries) visit(entry, from);
  return { importMap: { imports }, texts };
}

/** `base`, the package's name, and the path in the package. */
function servedPath(file: URL, base: string): string {
  // Some folders in packages have a nameless package.json of their own.
  let folder = new URL(".", file);
  let name = nameOf(folder);
  for (; name === undefined; name = nameOf(folder)) {
    const parent = new URL("..", folder);
    if (parent.href === folder.href) throw new TypeError(`${file.href} is in no package`);
    folder = parent;
  }
  return `${base}${name}/${file.href.slice(folder.href.length)}`;
}

function nameOf(folder: URL): string | undefined {
  const manifest = new URL("package.json", folder);
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { name?: string }).name;
}
