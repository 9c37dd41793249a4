import Type from 'typebox';
import { idPattern, type IdKind } from './ids.ts';

/** An identifier of one kind, such as `job_018f…`. */
export function Id(kind: IdKind, description?: string) {
  return Type.String({ pattern: idPattern(kind), ...(description === undefined ? {} : { description }) });
}

/** The schema or null. */
export function Nullable<T extends Type.TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** RFC 3339 UTC time with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A name that reads well in paths, logs and file names. */
export const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$',
  description: 'Letters, digits, ".", "_" and "-"; begins with a letter or digit; at most 100.',
});

/** RFC 9457 problem. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'Stable, for programs.' }),
    instance: Type.String(),
  },
  { additionalProperties: true },
);

/** RFC 3339 text of a time, or null. */
export function toTimestamp(time: Date): string;
export function toTimestamp(time: Date | null): string | null;
export function toTimestamp(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
