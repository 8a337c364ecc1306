import { CodedError } from "@cloister/encoding";

export type DeployErrorCode =
  | "PORT_IN_USE"
  | "NGINX_FAILED"
  | "IMAGE_FILE_INVALID"
  | "IMAGE_LIBRARY_MISSING"
  | "NGINX_REFUSED"
  | "GATEWAY_CONFIG_INVALID"
  | "INTERRUPTED"
  | "MODEL_NOT_FOUND"
  | "MODEL_NOT_RUNNABLE"
  | "WORK_FOLDER_NOT_OURS"
  | "WORK_FOLDER_IN_USE"
  | "KUBERNETES_SETTINGS_INVALID"
  | "CLUSTER_UNREACHABLE"
  | "CLUSTER_REFUSED"
  | "CLUSTER_CONFLICT"
  | "CLUSTER_OBJECT_MISSING"
  | "NAMESPACE_TAKEN"
  | "ROLLOUT_TIMEOUT"
  | "DELETE_TIMEOUT"
  | "IMPOSTOR_FOUND"
  | "REPLICA_NOT_SEEN"
  | "BOOTSTRAP_SETTINGS_INVALID"
  | "BOOTSTRAP_STEP_FAILED";

/** The one error class of this package. */
export class DeployError extends CodedError<DeployErrorCode> {}
