import { readFile } from "node:fs/promises";

/**
 * Calls `changed` with a file's text whenever it differs from the last look, one call at a time. Polling sees what Kubernetes
 * does, which replaces a link; a file that is away for a moment is looked at again. Resolves after the first look, with what stops it.
 */
export async function watchText(
  path: string,
  pollMs: number,
  changed: (text: string) => Promise<void>,
): Promise<() => void> {
  let last = await readFile(path, "utf8").catch(() => undefined);
  let isStopped = false;
  const look = async (): Promise<void> => {
    const text = await readFile(path, "utf8").catch(() => last);
    const before = last;
    last = text;
    if (before !== undefined && text !== undefined && text !== before) await changed(text);
  };
  const again = (): void => {
    if (isStopped) return;
    setTimeout(() => {
      look()
        .catch(() => undefined)
        .finally(again);
    }, pollMs).unref();
  };
  again();
  return () => {
    isStopped = true;
  };
}
