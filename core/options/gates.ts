import Type, { type Static } from 'typebox';

const MaxNegativeFlips = Type.Optional(
  Type.Number({
    minimum: 0,
    maximum: 1,
    description:
      'Share of the gate rows that the old version has right and the new one may have wrong. Only `accuracy` and `exact_match` have right and wrong rows. Without it, any share is allowed.',
  }),
);

const strict = { additionalProperties: false };

/** When an adapter is ready, as requests, experiment files and job specs state it. */
export const GateRule = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('absolute'),
        target: Type.Number({ description: 'Value that must be reached, in units of the metric.' }),
        max_negative_flips: MaxNegativeFlips,
      },
      strict,
    ),
    Type.Object(
      {
        kind: Type.Literal('relative'),
        margin: Type.Number({
          description: 'By how much the value may be worse than that of the imported version on its own base.',
        }),
        max_negative_flips: MaxNegativeFlips,
      },
      strict,
    ),
    Type.Object(
      {
        kind: Type.Literal('non_inferiority'),
        margin: Type.Number({
          description:
            'By how much the confidence bound of the difference to the imported version, on the same rows, may be worse.',
        }),
        confidence: Type.Optional(
          Type.Number({
            exclusiveMinimum: 0.5,
            exclusiveMaximum: 1,
            default: 0.95,
            description: 'Confidence of the one-sided bound, at each evaluation on the gate rows.',
          }),
        ),
        max_negative_flips: MaxNegativeFlips,
      },
      strict,
    ),
  ],
  { title: 'Gate', description: 'When an adapted version is ready, judged on the gate rows of the dataset.' },
);
export type GateRule = Static<typeof GateRule>;

/** Whether the rule compares candidates with an earlier version on the same rows. */
export function comparesWithOld(gate: GateRule): boolean {
  return gate.kind !== 'absolute' || gate.max_negative_flips !== undefined;
}
