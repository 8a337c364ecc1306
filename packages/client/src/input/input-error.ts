import { ClientError } from "../errors.ts";

/** INPUT_INVALID: values that make no tensor of the wanted type. */
export function inputInvalid(why: string): ClientError {
  return new ClientError("INPUT_INVALID", {
    what: "the input was not sent",
    why,
    remedy: "give values of the type and shape that the model's signature asks for (cloister infer --explain shows it)",
  });
}
