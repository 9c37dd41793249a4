import Type, { type Static } from 'typebox';

/** Default confidence of a certificate, which holds over all of a job's looks at the gate rows. */
export const DEFAULT_CONFIDENCE = 0.95;

/**
 * Default of a gate's margin, three percentage points. It is the smallest margin that a few hundred gate rows can
 * usually certify (docs/method/gate.md has the table).
 */
export const DEFAULT_MARGIN = 0.03;

/**
 * Policies for a candidate whose value on the gate rows is good enough, but for which there are too few gate rows to
 * certify it: `hold` keeps the old version, and `publish` publishes the candidate.
 */
export const INCONCLUSIVE_POLICIES = ['hold', 'publish'] as const;

const MaxNegativeFlips = Type.Optional(
  Type.Number({
    minimum: 0,
    maximum: 1,
    description:
      'Share of the gate rows that the old version has right and the new one may have wrong. It is counted, not ' +
      'certified. Only `accuracy` and `exact_match` have right and wrong rows. Without it, any share is allowed.',
  }),
);

const OnInconclusive = Type.Optional(
  Type.Enum(INCONCLUSIVE_POLICIES, {
    title: 'InconclusivePolicy',
    default: 'hold',
    description:
      'What happens to a candidate whose value is good enough where the gate rows are too few to certify it. ' +
      '`hold`: the old version stays, and the best candidate is kept. `publish`: it is published at once, marked ' +
      'as inconclusive.',
  }),
);

/**
 * Makes the schema of an option that holds a confidence, between 0.5 and 1.
 * @param description help text of the option
 */
const confidence = (description: string, options: { default?: number } = {}) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0.5, exclusiveMaximum: 1, ...options, description }));

const OfMargin = confidence(
  'The probability that a job publishes an adapter that is worse by more than the margin is at most 1 less this, ' +
    'over all of its looks at the gate rows.',
  { default: DEFAULT_CONFIDENCE },
);

const strict = { additionalProperties: false };

const MAX_CRITICAL_SLICES = 16;

export const CriticalSlice = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 64, description: 'One of the `slices` that gate rows name.' }),
    margin: Type.Number({
      description:
        'By how much the value on the rows of the slice may be worse than that of the old version on the same rows.',
    }),
    certify: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Whether the slice has to be certified, as all rows together are: without, its value on its gate rows ' +
          'decides, and nothing is promised of other rows.',
      }),
    ),
  },
  {
    title: 'CriticalSlice',
    description: 'A slice in which a version may not be worse by more than a margin of its own.',
    ...strict,
  },
);
export type CriticalSlice = Static<typeof CriticalSlice>;

const CriticalSlices = Type.Optional(
  Type.Array(CriticalSlice, {
    maxItems: MAX_CRITICAL_SLICES,
    description:
      'Slices in which a version may not be worse by more than a margin of their own, however it does on all rows.',
  }),
);

/**
 * Schema of a gate's rule, which decides whether an adapter is ready. Requests, experiment files and job specs contain
 * it.
 */
export const GateRule = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('absolute'),
        target: Type.Number({ description: 'Value that must be reached, in units of the metric.' }),
        confidence: confidence(
          'Without it, the value on the gate rows has to reach the target, and nothing is certified. With it, the ' +
            'true value has to be certified to reach the target.',
        ),
        on_inconclusive: OnInconclusive,
        max_negative_flips: MaxNegativeFlips,
      },
      { title: 'AbsoluteGate', description: 'An adapter is ready when it reaches a value.', ...strict },
    ),
    Type.Object(
      {
        kind: Type.Literal('relative'),
        margin: Type.Number({
          description: 'By how much the true value may be worse than that of the imported version on its own base.',
        }),
        confidence: OfMargin,
        on_inconclusive: OnInconclusive,
        max_negative_flips: MaxNegativeFlips,
        slices: CriticalSlices,
      },
      {
        title: 'RelativeGate',
        description: 'An adapter is ready when it is not worse than the imported version by more than a margin.',
        ...strict,
      },
    ),
    Type.Object(
      {
        kind: Type.Literal('non_inferiority'),
        margin: Type.Number({
          description: 'By how much the true value may be worse than that of the imported version on its own base.',
        }),
        confidence: OfMargin,
        on_inconclusive: OnInconclusive,
        max_negative_flips: MaxNegativeFlips,
        slices: CriticalSlices,
      },
      { title: 'NonInferiorityGate', description: 'Another name of `relative`.', ...strict },
    ),
  ],
  {
    title: 'Gate',
    description: 'When an adapted version is ready, judged on the gate rows of the dataset.',
    discriminator: { propertyName: 'kind' },
  },
);
export type GateRule = Static<typeof GateRule>;

/** Whether the gate compares a candidate with the results of an earlier version on the same rows. */
export function needsOldVersion(gate: GateRule): boolean {
  return gate.kind !== 'absolute' || gate.max_negative_flips !== undefined;
}

/**
 * Returns the critical slices of a gate. An absolute gate has none, since a slice is compared with an earlier version.
 */
export function criticalSlices(gate: GateRule): readonly CriticalSlice[] {
  return gate.kind === 'absolute' ? [] : (gate.slices ?? []);
}

/**
 * Returns the confidence of the gate's certificates; null if the gate gives none, because only the value on the rows
 * counts.
 */
export function confidenceOf(gate: GateRule): number | null {
  return gate.confidence ?? (gate.kind === 'absolute' ? null : DEFAULT_CONFIDENCE);
}
