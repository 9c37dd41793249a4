import Type from 'typebox';
import { JobOptions, STRATEGIES } from '../../../core/options/job-options.ts';
import { METRIC_HELP, METRICS } from '../../../core/options/metrics.ts';
import { ID_NOUNS, idPattern, type IdKind } from './ids.ts';

/** Media type of a stream of server-sent events. */
export const EVENT_STREAM_TYPE = 'text/event-stream';

/** Keyword of the description that a named schema has where it is used, besides its own. */
export const USE = 'x-use';

interface Use {
  description?: string;
  default?: unknown;
}

/**
 * A named schema (one with a `title`) as one place uses it, with a description of the place. The name keeps the
 * description of its own in the OpenAPI document. A default of the schema does not count there: give it again.
 */
export function used<T extends Type.TSchema>(schema: T, { description, ...use }: Use): T {
  const members: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(schema);
  delete members.default;
  const added = Object.getOwnPropertyDescriptors({
    ...use,
    ...(description === undefined ? {} : { [USE]: description }),
  });
  return Object.defineProperties({}, { ...members, ...added }) as T;
}

/** The schema of an identifier of one kind, for example `job_018f…`. */
export function Id(kind: IdKind, description = `Identifier of ${ID_NOUNS[kind]}.`) {
  return Type.String({ pattern: idPattern(kind), description });
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

/** Reason why something failed or waits, as `showError` makes it. */
export function ErrorOf(description: string) {
  return Type.Object(
    {
      code: Type.String({ description: 'What is wrong, for programs. Codes do not change.' }),
      message: Type.String({ description: 'What is wrong, for people.' }),
      detail: Type.Optional(
        Nullable(Type.String({ description: "The error's own words. Only the operator sees it." })),
      ),
    },
    {
      title: 'Failure',
      additionalProperties: true,
      description: 'Why something has failed or waits. Further members depend on the code.',
      [USE]: description,
    },
  );
}

/** Bytes that are uploaded or downloaded. At run time they are a stream, which nothing but its reader checks. */
export function Binary(description: string) {
  return Type.Any({ format: 'binary', description });
}

/** The same schema for each of several content types. */
export function contentOf<T extends Type.TSchema>(types: readonly string[], schema: T) {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

/** A time by RFC 3339, in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A day, an hour and seconds without leap seconds. */
const DAY_AND_TIME = '\\d{3}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d:[0-5]\\d(\\.\\d+)?';

/**
 * Times of requests. RFC 3339 has some that JavaScript or PostgreSQL does not know, or that have a year of five digits
 * in UTC: leap seconds, the year 0, and the last hours of the year 9999 elsewhere, so that in its millennium only UTC
 * is taken.
 */
export const TIME_PATTERN = `^([1-8]${DAY_AND_TIME}([Zz]|[+-]\\d\\d:\\d\\d)|9${DAY_AND_TIME}[Zz])$`;

/** A time that a request names. */
export function requestedTime(description: string) {
  return Type.String({ format: 'date-time', pattern: TIME_PATTERN, description });
}

export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

/** A name that can be used in paths, logs and file names. */
export const Name = Type.String({
  pattern: NAME_PATTERN,
  description: 'One to 100 letters, digits, ".", "_" and "-"; the first is a letter or a digit.',
});

const { description: STRATEGY_HELP } = JobOptions.properties.strategy as { description?: string };
export const StrategySchema = Type.Enum(STRATEGIES, { title: 'Strategy', description: STRATEGY_HELP ?? '' });

export const Metric = Type.Enum(METRICS, {
  title: 'MetricName',
  description: `What the gate measures, on the gate rows. ${METRIC_HELP}`,
});

export const JobKind = Type.Enum(['adaptation', 'control'] as const, {
  title: 'JobKind',
  description:
    '`adaptation` carries the adapter over. `control` trains the same adapter from scratch, so that the speed-up is ' +
    'measured, and publishes nothing.',
});

export const AdapterApproval = Type.Enum(['none', 'tenant'] as const, {
  title: 'AdapterApproval',
  description: '`tenant`: each of its jobs is `held` until its tenant approves it (`POST /v1/jobs/{id}/approve`).',
});

export const PausedReasonSchema = Type.Object(
  {
    code: Type.Enum(['requested', 'pause_if', 'budget_spent', 'approval_refused'] as const, {
      title: 'PauseCode',
      description:
        '`requested`: the operator has paused it. `pause_if`: a condition of its policy has. `budget_spent`: ' +
        'its jobs have used `budget_device_seconds`. `approval_refused`: whom its policy asks has refused a wave.',
    }),
    message: Type.String({ description: 'Why, for people.' }),
    condition: Type.Optional(Type.String({ description: 'The condition of `pause_if`.' })),
    value: Type.Optional(Type.Number({ description: 'What was found.' })),
    limit: Type.Optional(Type.Number({ description: 'What the policy allows.' })),
    wave: Type.Optional(Type.Integer({ description: 'The wave that was judged or refused.' })),
    jobs: Type.Optional(Type.Integer({ description: 'Number of jobs that it was judged by.' })),
  },
  {
    title: 'PausedReason',
    description:
      'Why a rollout is paused. The figures, which are of the jobs of all tenants, are for the operator alone.',
  },
);

export const ForecastAdapters = Type.Object(
  {
    total: Type.Integer({ description: 'Number of adapters of the base model.' }),
    taken: Type.Integer({ description: 'Those that get a job which runs.' }),
    skipped: Type.Integer({ description: 'Those that a rollout would not carry over.' }),
  },
  { title: 'ForecastAdapters', description: 'How many adapters a rollout would take.' },
);

/** Formats a time by RFC 3339. */
export function toTimestamp(time: Date): string;
export function toTimestamp(time: Date | null): string | null;
export function toTimestamp(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
