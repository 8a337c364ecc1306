import { CodedError } from "@cloister/encoding";

export type DeployErrorCode =
  | "PORT_IN_USE"
  | "NGINX_FAILED"
  | "MODEL_NOT_FOUND"
  | "MODEL_NOT_RUNNABLE"
  | "NO_REPLICA_READY"
  | "ANSWER_WRONG"
  | "ATTACK_SUCCEEDED"
  | "HOST_FOLDER_LEAKS";

/** The one error class of this package. */
export class DeployError extends CodedError<DeployErrorCode> {}
