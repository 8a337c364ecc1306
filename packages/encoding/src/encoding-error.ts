import { CodedError } from "./coded-error.ts";

/** Codes of every codec in this package. */
export type EncodingErrorCode =
  // strict-json.ts, canonical-json.ts
  | "JSON_TOO_LARGE"
  | "JSON_MALFORMED"
  | "JSON_DUPLICATE_NAME"
  | "JSON_TOO_DEEP"
  | "JSON_NUMBER_NOT_ALLOWED"
  | "JSON_NOT_CANONICAL"
  | "JSON_VALUE_NOT_ALLOWED"
  // cbor.ts
  | "CBOR_MALFORMED"
  | "CBOR_NOT_CANONICAL"
  | "CBOR_TOO_DEEP"
  | "CBOR_TOO_LARGE"
  | "CBOR_TYPE_NOT_ALLOWED"
  // der.ts, der-writer.ts
  | "DER_TOO_LARGE"
  | "DER_MALFORMED"
  | "DER_TOO_DEEP"
  | "DER_VALUE_NOT_ALLOWED"
  // pem.ts
  | "PEM_MALFORMED"
  // x509.ts, x509-builder.ts
  | "X509_MALFORMED"
  | "X509_VALUE_NOT_ALLOWED"
  | "CSR_MALFORMED"
  | "CSR_KEY_NOT_ALLOWED"
  | "CSR_SIGNATURE_INVALID"
  // read-tar.ts
  | "TAR_MALFORMED"
  // text-format.ts
  | "TEXT_FORMAT_MALFORMED"
  // grpc.ts, tensor-proto.ts
  | "GRPC_MALFORMED"
  | "GRPC_MESSAGE_TOO_LARGE"
  | "TENSOR_PROTO_MALFORMED"
  | "TENSOR_PROTO_DTYPE_NOT_SUPPORTED"
  | "TENSOR_PROTO_TOO_LARGE";

/** A refusal by a codec: the input is not the strict form, or a value cannot be written. */
export class EncodingError extends CodedError<EncodingErrorCode> {}
