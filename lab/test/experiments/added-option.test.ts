import Type from 'typebox';
import { expect, it } from 'vitest';
import { JobOptions } from '../../../core/options/job-options.ts';
import { problemsOf } from '../../../core/options/problems.ts';
import { experimentSchema } from '../../experiments/config/experiment.schema.ts';

/** Table of job options with an option that does not exist yet. */
const TABLE = Type.Object(
  { ...JobOptions.properties, warm_up_share: Type.Number({ minimum: 0, maximum: 1, default: 0.06 }) },
  { additionalProperties: false },
);

it('an option that is added to the table of job options is a setting of an experiment', () => {
  const experiment = {
    name: 'tiny',
    base: 'v1',
    evolutions: [{ name: 'v2', base: 'v2' }],
    tasks: [{ name: 'past', metric: 'exact_match', train: 'a', validation: 'b', test: 'c' }],
    adapters: [{ name: 'r4', steps: 4, batch_size: 4, learning_rate: 1e-3 }],
    rows: [16],
    seeds: [1],
    gate: { kind: 'absolute', target: 1 },
    options: { warm_up_share: 0.1 },
    strategies: [{ name: 'auto', options: { warm_up_share: 0.2 } }],
  };
  expect(problemsOf(experimentSchema(TABLE), experiment)).toEqual([]);
  expect(problemsOf(experimentSchema(), experiment)).toHaveLength(2);
});
