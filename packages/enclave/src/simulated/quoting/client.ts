import { connect } from "node:net";
import { EnclaveError } from "../../errors.ts";
import { MAX_ANSWER_BYTES, QuoteAnswer, type QuoteSource, toRequest } from "./protocol.ts";

const TIMEOUT_MS = 10_000;

/** Quotes from the quoting service of the node, over its unix socket. Its `quote` throws `PLATFORM_QUOTE_FAILED`. */
export function remoteQuotes(path: string): QuoteSource {
  return {
    quote: async (options) => {
      const text = await exchange(path, `${JSON.stringify(toRequest(options))}\n`).catch((cause: unknown) => {
        throw failed("its quoting service cannot be reached", cause);
      });
      const parsed = QuoteAnswer.safeParse(parseJson(text));
      if (parsed.success && "quote" in parsed.data) return new Uint8Array(Buffer.from(parsed.data.quote, "base64"));
      throw failed("its quoting service gave no quote");
    },
  };
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(path, () => socket.write(request));
    socket.setEncoding("latin1").setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("no answer in time")));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) socket.destroy(new Error("the answer is too long"));
    });
    socket.once("error", reject).once("end", () => resolve(text));
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failed(why: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "PLATFORM_QUOTE_FAILED",
    {
      what: "the SIMULATED platform gave no quote",
      why,
      remedy: "look at the simulated device plugin on this node",
    },
    { cause },
  );
}
