import pg from 'pg';

const { types } = pg;

/**
 * Object identifiers that PostgreSQL gives to types of its own are below this; above are those of migrations, all of
 * them enums.
 */
const FIRST_OWN_TYPE = 16_384;

const JSON_TYPES: readonly number[] = [types.builtins.JSON, types.builtins.JSONB];
/** Types whose values the driver reads as Prisma does. */
const AS_THE_DRIVER: readonly number[] = [
  ...[types.builtins.BOOL, types.builtins.INT2, types.builtins.INT4, types.builtins.FLOAT4, types.builtins.FLOAT8],
  ...[types.builtins.TEXT, types.builtins.VARCHAR, types.builtins.BPCHAR],
];
const TEXT_ARRAY = 1009;

/** Reads a value of a column from the text that PostgreSQL sends. */
export type ParseValue = (text: string) => unknown;

/**
 * Parser that makes the same values of a column as Prisma's `$queryRaw`.
 * @throws Error if the type is one that no statement has selected so far
 */
export function parserOf(type: number): ParseValue {
  if (type === types.builtins.INT8) return BigInt;
  if (type === types.builtins.TIMESTAMPTZ) return toDate;
  if (JSON_TYPES.includes(type)) return JSON.parse;
  if (type >= FIRST_OWN_TYPE) return (text) => text;
  if (AS_THE_DRIVER.includes(type) || type === TEXT_ARRAY) return types.getTypeParser(type) as ParseValue;
  throw new Error(`a column has the type ${type}, which is not read here: cast it, or add it`);
}

const parseTimestamp = types.getTypeParser(types.builtins.TIMESTAMPTZ) as (text: string) => Date;

/**
 * `2026-11-27 15:04:05.678+00`, as sessions in UTC get it, becomes a form that JavaScript itself reads, which takes a
 * third of the time.
 */
function toDate(text: string): Date {
  const inUtc = text.endsWith('+00') && text.charAt(10) === ' ';
  return inUtc ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : parseTimestamp(text);
}

/**
 * Writes a parameter of a statement as the text that PostgreSQL reads.
 * @throws Error if it is of a type that no statement takes so far
 */
export function toParameter(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) && value.every((element) => typeof element === 'string')) {
    return `{${value.map((element) => `"${element.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
  }
  throw new Error(
    `a statement has a parameter of the type ${typeof value}, expected a text, a number, a time or texts`,
  );
}
