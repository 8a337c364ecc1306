import type { Tensor } from "@cloister/encoding/tensor";
import { type Element, elementsOf, fromElements, latin1, strings } from "../../host/elements.ts";
import { parseNumber } from "../../host/number-text.ts";
import { refuse } from "../../host/refusal.ts";
import { hostOp } from "../host-op.ts";
import type { Lowering, LoweringTable } from "../op.ts";

/** The fields of one record (RFC 4180); quotes stand around fields that hold delimiters, and twice inside of them. */
function fieldsOf(record: string, delimiter: string, hasQuotes: boolean): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= record.length) {
    if (hasQuotes && record[at] === '"') {
      let text = "";
      at += 1;
      for (;;) {
        const quote = record.indexOf('"', at);
        if (quote === -1) return refuse("a quoted field that does not end");
        text += record.slice(at, quote);
        at = quote + 1;
        if (record[at] !== '"') break;
        text += '"';
        at += 1;
      }
      if (at < record.length && record[at] !== delimiter) return refuse("a quoted field that goes on after its end");
      fields.push(text);
    } else {
      const end = record.indexOf(delimiter, at);
      const text = record.slice(at, end === -1 ? undefined : end);
      if (hasQuotes && text.includes('"')) return refuse("a quote inside a field without quotes");
      fields.push(text);
      at += text.length;
    }
    at += 1;
  }
  return fields;
}

/** Operands: records, then for each wanted column its default, empty where the column is required. */
const decodeCsv: Lowering = hostOp(
  (op) => op.inputs.slice(1).map(({ dtype }) => ({ dtype, shape: op.input(0).shape })),
  (op) => {
    const delimiter = op.attributes.string("field_delim", ",");
    const hasQuotes = op.attributes.bool("use_quote_delim", true);
    const absent = op.attributes.string("na_value", "");
    const columns = op.attributes.ints("select_cols");
    return ([records, ...defaults]) => {
      const { shape } = records as Tensor;
      const rows = strings(records as Tensor).map((record) => fieldsOf(latin1(record), delimiter, hasQuotes));
      return defaults.map((absentValue, index): Tensor => {
        const { dtype } = absentValue;
        const column = columns[index] ?? index;
        const [fallback] = elementsOf(absentValue);
        const values = rows.map((fields): Element => {
          const isEven = columns.length > 0 ? column < fields.length : fields.length === defaults.length;
          if (!isEven) return refuse("a record with another number of fields");
          const text = fields[column] ?? "";
          if (text === "" || text === absent) return fallback ?? refuse("a required field that is missing");
          return dtype === "string" ? text : parseNumber(text, dtype);
        });
        return fromElements(dtype, shape, values);
      });
    };
  },
);

export const CSV: LoweringTable = {
  DecodeCSV: decodeCsv,
};
