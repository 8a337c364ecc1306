import { run } from "../program.ts";

// The other end of session.ts: runs command lines in this process, one after the other, and catches what they write.

process.on("message", (request: { readonly cwd: string; readonly args: readonly string[] }) => {
  void serve(request.cwd, request.args);
});

async function serve(cwd: string, args: readonly string[]): Promise<void> {
  process.chdir(cwd);
  const written = { stdout: "", stderr: "" };
  const restore = (["stdout", "stderr"] as const).map((name) => {
    const stream = process[name];
    const write = stream.write.bind(stream);
    stream.write = (chunk: string | Uint8Array): boolean => {
      written[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      return true;
    };
    return () => (stream.write = write);
  });
  const code = await run(args);
  for (const undo of restore) undo();
  process.send?.({ code, ...written });
}
