import type { Address, CApi } from "./c-api.ts";

/** A status of TensorFlow that is not OK. Its message may hold bytes of a request: it stays a `cause` and is never shown. */
export class TensorFlowError extends Error {
  /** A number of tensorflow/c/tf_status.h, which are gRPC's. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Runs a call with a status of its own (one that failed once stays failed). @throws TensorFlowError */
export function withStatus<Result>(api: CApi, call: (status: Address) => Result): Result {
  const status = api.newStatus();
  try {
    const result = call(status);
    check(api, status);
    return result;
  } finally {
    api.deleteStatus(status);
  }
}

/** As `withStatus`, for calls that run on a thread of their own. */
export async function withStatusAsync<Result>(
  api: CApi,
  call: (status: Address, done: (error: unknown, result: Result) => void) => void,
): Promise<Result> {
  const status = api.newStatus();
  try {
    const result = await new Promise<Result>((resolve, reject) => {
      call(status, (error, value) => {
        if (error instanceof Error) reject(error);
        else resolve(value);
      });
    });
    check(api, status);
    return result;
  } finally {
    api.deleteStatus(status);
  }
}

function check(api: CApi, status: Address): void {
  const code = api.getCode(status);
  if (code !== 0) throw new TensorFlowError(code, api.message(status));
}
