import { expect, it } from 'vitest';
import type { GateLook, GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ToyAdaptation } from '../support/toy-adaptation.ts';
import { NOVEL, until } from '../support/toy-runs.ts';

/** The first of 100 rows, of which some are wrong. */
function rows(wrong: number, measured = 100): GateMeasurement {
  const values = Array.from({ length: measured }, (_, i) => Number(i >= wrong));
  const metric = { name: 'accuracy', value: 1 - wrong / measured, rows: measured, standardError: 0 } as const;
  return {
    metric: { ...metric, ...(measured < 100 && { available: 100 }) },
    outcomes: { values, tokens: values },
  };
}

const OLD = rows(0);

it('a ladder prefers by the search rows if candidates were not measured on the same gate rows', async () => {
  const toy = new ToyAdaptation(NOVEL);
  const answers = [rows(30, 50), rows(40, 60), rows(20, 40)];
  const seen = [0.5, 0.7, 0.6];
  const looks: GateLook[] = [];
  const context: LadderContext = {
    ...toy.context(),
    gateMetric: async (_, look) => {
      looks.push(look);
      return answers.shift()!;
    },
    searchMetric: async () => ({
      metric: { name: 'accuracy', value: seen.shift()!, rows: 64, standardError: 1 },
      outcomes: { values: [], tokens: [] },
    }),
  };
  const gate = { metric: 'accuracy', kind: 'relative', margin: 0.05 } as const;
  const outcome = await runStrategy('warm-start', context, {
    ...until(0),
    gate,
    old: OLD,
    steps: 15,
    evaluateEvery: 5,
  });
  expect(outcome.candidates.map(({ id, verdict, failed }) => ({ id, verdict, failed }))).toEqual(
    ['copy', 'fine_tune@5'].map((id) => ({ id, verdict: 'failed', failed: ['value', 'bound'] })),
  );
  expect(outcome).toMatchObject({ ready: false, best: { id: 'fine_tune@5', metric: { rows: 60 } } });
  expect(outcome.rungs.map(({ candidate }) => candidate?.id)).toEqual(['copy', 'fine_tune@5']);
  const lookOf = (number: number) => ({ total: number, number, missed: 0, isOnly: false });
  expect(looks).toEqual([1, 2].map((number) => ({ reference: OLD, look: lookOf(number) })));
});
