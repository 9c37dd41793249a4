import type { TSchema } from 'typebox';

interface Described {
  type?: string;
  items?: Described;
  properties?: Record<string, Described>;
}

/** Pattern of decimal integers; JavaScript's conversion would also accept `0x10` and `1e2`. */
const INTEGER = /^-?(?:0|[1-9]\d*)$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/**
 * Converts the values of a path or a query to the types of their schemas. Values that are not decimal numbers or
 * booleans stay text, which the validation then refuses.
 */
export function fromText(schema: TSchema, input: unknown): unknown {
  return valueOf(schema, input);
}

function valueOf({ type, items = {}, properties }: Described, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (type === 'array') return [value].flat().map((entry) => valueOf(items, entry));
  if (typeof value === 'object' && value !== null && properties !== undefined) return membersOf(properties, value);
  if (typeof value !== 'string') return value;
  if (type === 'integer') return INTEGER.test(value) ? Number(value) : value;
  if (type === 'number') return NUMBER.test(value) ? Number(value) : value;
  if (type === 'boolean') return value === 'true' || (value === 'false' ? false : value);
  return value;
}

function membersOf(properties: Record<string, Described>, value: object): object {
  const members = Object.entries(value).map(([name, member]) => [name, valueOf(properties[name] ?? {}, member)]);
  return Object.fromEntries(members) as object;
}
