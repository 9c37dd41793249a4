import pg from 'pg';

const { types } = pg;

/**
 * Smallest object identifier of a type that a migration has created, all of which are enums. Built-in types have
 * smaller ones.
 */
const FIRST_OWN_TYPE = 16_384;

const JSON_TYPES: readonly number[] = [types.builtins.JSON, types.builtins.JSONB];
/** Types that the driver parses as Prisma does. */
const AS_THE_DRIVER: readonly number[] = [
  ...[types.builtins.BOOL, types.builtins.INT2, types.builtins.INT4, types.builtins.FLOAT4, types.builtins.FLOAT8],
  ...[types.builtins.TEXT, types.builtins.VARCHAR, types.builtins.BPCHAR],
];
const TEXT_ARRAY = 1009;

/** Parses a column's value from the text that PostgreSQL sends. */
export type ParseValue = (text: string) => unknown;

/**
 * Returns the parser that gives the same values as Prisma's `$queryRaw`.
 * @throws Error if no statement has selected this type so far
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
 * Parses a time such as `2026-11-27 15:04:05.678+00`, the format of sessions in UTC. Rewriting it to a format that
 * JavaScript parses itself takes a third of the time of the driver's parser.
 */
function toDate(text: string): Date {
  const inUtc = text.endsWith('+00') && text.charAt(10) === ' ';
  return inUtc ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : parseTimestamp(text);
}

/**
 * Formats a parameter of a statement as the text that PostgreSQL reads.
 * @throws Error if no statement has taken this type so far
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
