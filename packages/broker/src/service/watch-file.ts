import { fileMark } from "../keys/store-file.ts";

const DEFAULT_INTERVAL_MS = 1000;

/**
 * Calls back when a file was written or replaced. It looks once a second: events of the kernel miss a file that an editor
 * replaces, or that is mounted from elsewhere. Returns the function that ends it.
 */
export async function watchFile(
  path: string,
  onChange: () => void,
  intervalMs = DEFAULT_INTERVAL_MS,
): Promise<() => void> {
  let seen = await markOf(path);
  const look = async (): Promise<void> => {
    const mark = await markOf(path);
    if (mark === seen) return;
    seen = mark;
    onChange();
  };
  const timer = setInterval(() => void look(), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A file that cannot be looked at counts as one that is gone. */
const markOf = (path: string): Promise<string> => fileMark(path).catch(() => "");
