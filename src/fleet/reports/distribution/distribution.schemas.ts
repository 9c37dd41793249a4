import Type, { type Static } from 'typebox';
import { Id } from '../../../platform/contract/schemas.ts';
import { Speedup } from '../report.schemas.ts';

/** Largest number of times in a distribution. */
export const MOST_VALUES = 101;

const Values = (description: string) =>
  Type.Array(Type.Number({ minimum: 0 }), { maxItems: MOST_VALUES, description: `${description}, in milliseconds.` });

const Times = Type.Object(
  {
    jobs: Type.Integer({ description: 'Number of jobs, those included that are not ready.' }),
    ready: Type.Integer({ description: 'Number of jobs that have become ready.' }),
    ttr_ms: Values('Time to readiness'),
    working_ms: Values('Time to readiness without the wait in the queue and the time for which the jobs were held'),
  },
  {
    title: 'TtrValues',
    description:
      'The times of the jobs that are ready, in order: all of them where they are 101 or fewer, and else 101 of ' +
      'them, from the smallest to the largest at equal steps of rank.',
  },
);
export type Times = Static<typeof Times>;

export const TtrDistribution = Type.Object(
  {
    rollout_id: Id('rollout'),
    adaptations: Times,
    controls: Times,
    speedup: Speedup,
  },
  { title: 'TtrDistribution', description: 'The times to readiness of a rollout, and those of its controls.' },
);
export type TtrDistribution = Static<typeof TtrDistribution>;
