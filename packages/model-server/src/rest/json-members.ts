import { callError } from "../errors.ts";
import type { JsonReader } from "./json-reader.ts";

/** Where the members of the top object are. Their values are not read. */
export interface JsonMembers {
  /** Position of a member's value. */
  position(name: string): number | undefined;
  /** A member's text, empty where it is absent. Throws INVALID_ARGUMENT where it is something else. */
  string(name: string): string;
}

/** Steps through the top object. Of a name that stands twice the first counts. */
export function readMembers(reader: JsonReader): JsonMembers {
  if (reader.peek() !== "object") {
    throw callError("INVALID_ARGUMENT", "Request body must be a JSON object");
  }
  const positions = new Map<string, number>();
  reader.enterObject();
  for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
    if (!positions.has(name)) positions.set(name, reader.position);
    reader.skipValue();
  }
  return {
    position: (name) => positions.get(name),
    string: (name) => {
      const position = positions.get(name);
      if (position === undefined) return "";
      reader.seek(position);
      if (reader.peek() !== "string") throw callError("INVALID_ARGUMENT", `'${name}' key must be a string value.`);
      return reader.readString();
    },
  };
}
