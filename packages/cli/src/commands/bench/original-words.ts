/** The options of the original system's resnet_client_grpc.py. */
export const SINGLE_DASH: ReadonlySet<string> = new Set([
  "-url",
  "-img",
  "-ca",
  "-key",
  "-crt",
  "-batch",
  "-cnum",
  "-loop",
]);

/** The words after `bench`, where they are the original's; `undefined` for our own grammar. */
export function originalBenchWords(argv: readonly string[]): readonly string[] | undefined {
  const [command, ...words] = argv;
  return command === "bench" && words.some((word) => SINGLE_DASH.has(word)) ? words : undefined;
}
