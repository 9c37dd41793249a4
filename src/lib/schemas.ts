import Type from 'typebox';
import { idPattern, type IdKind } from './ids.ts';

/** The schema of an identifier of one kind, for example `job_018f…`. */
export function Id(kind: IdKind, description?: string) {
  return Type.String({ pattern: idPattern(kind), ...(description === undefined ? {} : { description }) });
}

/** The schema of a query parameter that may be repeated, for any of several values. */
export function severalOf<T extends Type.TSchema>(item: T) {
  return Type.Array(item, {
    minItems: 1,
    maxItems: 20,
    description: 'Repeat it for several of them: `state=…&state=…`.',
  });
}

/** The schema, or null. */
export function Nullable<T extends Type.TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** Why something failed or waits, as `showError` makes it. */
export function ErrorOf(description: string) {
  return Type.Object(
    {
      code: Type.String({ description: 'What is wrong, for programs. Codes do not change.' }),
      message: Type.String({ description: 'What is wrong, for people.' }),
      detail: Type.Optional(
        Nullable(Type.String({ description: "The error's own words. Only the operator sees it." })),
      ),
    },
    { additionalProperties: true, description },
  );
}

/** A time by RFC 3339, in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A name that can be used in paths, logs and file names. */
export const Name = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$',
  description: 'One to 100 letters, digits, ".", "_" and "-"; the first is a letter or a digit.',
});

/** A problem by RFC 9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:readapt:problem:` and the code.' }),
    title: Type.String({ description: 'The phrase of the HTTP status.' }),
    status: Type.Integer({ description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong, for people.' }),
    code: Type.String({ description: 'What is wrong, for programs. Codes do not change.' }),
    instance: Type.String({ description: 'Path of the request.' }),
  },
  { additionalProperties: true },
);

/** Formats a time by RFC 3339. */
export function toTimestamp(time: Date): string;
export function toTimestamp(time: Date | null): string | null;
export function toTimestamp(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
