/** The same value without the entries and list items that have no content. */
export function withoutGaps<T>(value: T): T {
  if (Array.isArray(value)) {
    return value.filter((item) => item !== undefined).map((item: unknown) => withoutGaps(item)) as T;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, content]) => content !== undefined);
  return Object.fromEntries(entries.map(([key, content]) => [key, withoutGaps<unknown>(content)])) as T;
}
