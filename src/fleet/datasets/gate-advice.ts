import Type, { type Static } from 'typebox';
import { gateAdvice } from '../../../core/method/gate/advice.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import { Nullable } from '../../platform/contract/schemas.ts';

export const GateAdviceResource = Type.Object(
  {
    rows: Type.Integer({ description: 'Number of gate rows.' }),
    confidence: Type.Number({ description: 'Confidence of the certificate, over all looks of a job.' }),
    margin: Nullable(Type.Number({ description: 'The margin that the advice is about.' })),
    certifiable_margin: Nullable(
      Type.Number({
        description:
          'The smallest margin that these rows certify as a rule for a version that is as good as the old one, if ' +
          'four of a hundred rows flip or, of a score, differ by a tenth. On prompts alone each of the four is lost, ' +
          'or half of its score. Null if there is none.',
      }),
    ),
    least_margin: Nullable(
      Type.Number({ description: 'The smallest margin that they certify for a version that differs in no row.' }),
    ),
    rows_needed: Nullable(Type.Integer({ description: 'About how many rows certify the margin as a rule.' })),
    decidable: Nullable(
      Type.Enum(['yes', 'unlikely', 'no'] as const, {
        title: 'Decidability',
        description:
          '`no`: the rows are too few to certify any version within the margin, so that jobs end as inconclusive. ' +
          '`unlikely`: the margin is smaller than `certifiable_margin`.',
      }),
    ),
  },
  {
    title: 'GateAdvice',
    description: 'What the gate rows can certify, by their number alone. Null for a loss, a target, or no gate rows.',
  },
);
export type GateAdviceResource = Static<typeof GateAdviceResource>;

/** Fields of a dataset from which advice on a gate is computed. */
interface AdvisedDataset {
  /** Number of rows in each split: training, search and gate. */
  readonly splits: unknown;
  readonly promptsOnly: boolean;
}

/**
 * Computes advice on what a gate can certify with a dataset's gate rows; null if nothing can be said.
 * @param dataset null if the adapter has no dataset
 */
export function adviceOn(
  dataset: AdvisedDataset | null,
  metric: MetricName,
  gate: GateRule,
): GateAdviceResource | null {
  const { splits, promptsOnly = false } = dataset ?? {};
  const { gate: rows = 0 } = (splits ?? {}) as { gate?: number };
  return gateAdvice(rows, { metric, promptsOnly }, gate);
}
