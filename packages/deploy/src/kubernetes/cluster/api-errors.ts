import { DeployError } from "../../errors.ts";

const MAX_REASON_LENGTH = 600;

export function unreachable(why: string, cause?: unknown): DeployError {
  return new DeployError(
    "CLUSTER_UNREACHABLE",
    {
      what: "the cluster was not asked",
      why,
      remedy: "check --kubeconfig and --context, and that the API server can be reached from here",
    },
    { cause },
  );
}

/** What the API server said. Its reason names fields and objects, never the content of a Secret. */
export function answeredWith(
  { method, path }: { readonly method: string; readonly path: string },
  status: number,
  body: string,
): DeployError {
  const why = `${method} ${path} was answered with ${status}: ${reasonOf(body)}`;
  if (status === 404) {
    return new DeployError("CLUSTER_OBJECT_MISSING", {
      what: "the cluster does not have that",
      why,
      remedy: "apply the deployment first; for a kind that is not known, install its definition (Gateway API, KEDA)",
    });
  }
  if (status === 409) {
    return new DeployError("CLUSTER_CONFLICT", {
      what: "somebody else owns a field that we would change",
      why,
      remedy: "look at the diff; --force takes the field over",
    });
  }
  return new DeployError("CLUSTER_REFUSED", {
    what: "the cluster refused the request",
    why,
    remedy: status === 401 || status === 403 ? "use an account that may do this" : "correct what the reason names",
  });
}

function reasonOf(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    if (typeof message === "string") return message.slice(0, MAX_REASON_LENGTH);
  } catch {
    // Not a Status object: a proxy's page, for example.
  }
  return "no reason given";
}
