/**
 * Starts work for each item in order, at most `ahead` at a time, and yields the results in the same order. When one fails, or
 * the consumer stops, it waits for what is still running before it lets go: nobody closes a file under running work.
 */
export async function* inOrderAhead<Item, Result>(
  items: Iterable<Item>,
  ahead: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<{ readonly item: Item; readonly result: Result }, void> {
  const running: { item: Item; promise: Promise<Result> }[] = [];
  try {
    for (const item of items) {
      const promise = work(item);
      // It may fail before its turn to be awaited, which must not count as unhandled; its turn still comes.
      promise.catch(() => undefined);
      running.push({ item, promise });
      if (running.length >= ahead) yield await first(running);
    }
    while (running.length > 0) yield await first(running);
  } finally {
    await Promise.allSettled(running.map(({ promise }) => promise));
  }
}

async function first<Item, Result>(
  running: { item: Item; promise: Promise<Result> }[],
): Promise<{ item: Item; result: Result }> {
  const next = running[0];
  if (next === undefined) throw new RangeError("nothing is running");
  const result = await next.promise;
  running.shift();
  return { item: next.item, result };
}
