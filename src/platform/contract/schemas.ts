import Type from 'typebox';
import { JobOptions, STRATEGIES } from '../../../core/options/job-options.ts';
import { METRIC_HELP, METRICS } from '../../../core/options/metrics.ts';
import { ID_NOUNS, idPattern, type IdKind } from './ids.ts';

/** Media type of a stream of server-sent events. */
export const EVENT_STREAM_TYPE = 'text/event-stream';

/**
 * JSON Schema keyword for the description of a named schema in one place where it is used. The schema's own description
 * is kept beside it.
 */
export const USE = 'x-use';

interface Use {
  description?: string;
  default?: unknown;
}

/**
 * Copies a named schema (one with a `title`) for one property or parameter, and describes that use of it. In the
 * OpenAPI document, the named schema keeps its own description. The copy has no default unless one is given here.
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

/** Schema of an identifier of one kind, for example `job_018f…`. */
export function Id(kind: IdKind, description = `Identifier of ${ID_NOUNS[kind]}.`) {
  return Type.String({ pattern: idPattern(kind), description });
}

/** Schema of a query parameter that may be repeated, to select any of several values. */
export function severalOf<T extends Type.TSchema>(item: T) {
  return Type.Array(item, {
    minItems: 1,
    maxItems: 20,
    description: 'Repeat it for several of them: `state=…&state=…`.',
  });
}

/** Schema whose values may also be null. */
export function Nullable<T extends Type.TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** Schema of the reason why something failed or waits, in the form that `showError` returns. */
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

/** Schema of uploaded or downloaded bytes. At run time they are a stream, which the validation does not check. */
export function Binary(description: string) {
  return Type.Any({ format: 'binary', description });
}

/** Makes the `content` of a body that may have any of several content types, all with the same schema. */
export function contentOf<T extends Type.TSchema>(types: readonly string[], schema: T) {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

/** Schema of a time by RFC 3339, in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time' });

/**
 * Pattern of a time from the second digit of its year to its seconds, with their fractions. It has no zone, and does
 * not match leap seconds.
 */
const DAY_AND_TIME = '\\d{3}-\\d\\d-\\d\\d[Tt ]\\d\\d:\\d\\d:[0-5]\\d(\\.\\d+)?';

/**
 * Pattern of times in requests. It excludes times of RFC 3339 that JavaScript or PostgreSQL cannot represent, or whose
 * year in UTC has five digits: leap seconds, years before 1000, and, from the year 9000 on, all zones but UTC.
 */
export const TIME_PATTERN = `^([1-8]${DAY_AND_TIME}([Zz]|[+-]\\d\\d:\\d\\d)|9${DAY_AND_TIME}[Zz])$`;

/** Schema of a time in a request. */
export function requestedTime(description: string) {
  return Type.String({ format: 'date-time', pattern: TIME_PATTERN, description });
}

export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

/** Schema of a name that can be used in paths, logs and file names. */
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
    message: Type.String({ description: 'Reason, for people.' }),
    condition: Type.Optional(Type.String({ description: 'The condition of `pause_if`.' })),
    value: Type.Optional(Type.Number({ description: 'Value that was found.' })),
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
    taken: Type.Integer({ description: 'Number of adapters that get a job that runs.' }),
    skipped: Type.Integer({ description: 'Number of adapters that a rollout would not carry over.' }),
  },
  { title: 'ForecastAdapters', description: 'How many adapters a rollout would take.' },
);

/** Formats a time by RFC 3339. */
export function toTimestamp(time: Date): string;
export function toTimestamp(time: Date | null): string | null;
export function toTimestamp(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
