/** The path of a `file:` URI. */
export function pathOf(uri: string): string {
  return uri.replace(/^file:/, "");
}

/** Gramine's normal form (gramine.md A.5): no empty or `.` parts, `a/..` folded, no slash at the end. */
export function normalPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    const last = parts.at(-1);
    if (part !== ".." || (!path.startsWith("/") && (last === undefined || last === ".."))) parts.push(part);
    else parts.pop();
  }
  return (path.startsWith("/") ? "/" : "") + parts.join("/");
}

/** Whether one path is the other, or lies below it. */
export function covers(folder: string, path: string): boolean {
  const [outer, inner] = [normalPath(folder), normalPath(path)];
  return outer === inner || outer === "/" || outer === "" || inner.startsWith(`${outer}/`);
}

/** Whether one of two paths lies below the other. */
export function overlap(one: string, other: string): boolean {
  return covers(one, other) || covers(other, one);
}
