import { expect, it } from 'vitest';
import type { GateLook, GateMeasurement } from '../../../../core/method/gate/readiness-gate.ts';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ToyAdaptation } from '../support/toy-adaptation.ts';
import { NOVEL, until } from '../support/toy-runs.ts';

/** Rows of which the first ones are wrong, and only the first `measured` were measured. */
function rows(wrong: number, measured?: number): GateMeasurement {
  const values = Array.from({ length: 100 }, (_, i) => Number(i >= wrong));
  const curtailed = measured === undefined ? {} : { curtailed: { measured } };
  const metric = { name: 'accuracy', value: 1 - wrong / 100, rows: 100, standardError: 0, ...curtailed } as const;
  return { metric, outcomes: { values, tokens: values } };
}

const OLD = rows(0);

it('a ladder prefers by the search rows if candidates failed before all gate rows were measured', async () => {
  const toy = new ToyAdaptation(NOVEL);
  const answers = [rows(30, 50), rows(40, 60), rows(10, 90)];
  const seen = [0.5, 0.7, 0.6, 0.4];
  const looks: GateLook[] = [];
  const context: LadderContext = {
    ...toy.context(),
    gateMetric: async (_, look) => {
      looks.push(look);
      return answers.shift()!;
    },
    searchMetric: async () => ({ name: 'accuracy', value: seen.shift()!, rows: 64, standardError: 1 }),
  };
  const gate = { metric: 'accuracy', kind: 'relative', margin: 0.05 } as const;
  const outcome = await runStrategy('warm-start', context, {
    ...until(0),
    gate,
    old: OLD,
    steps: 15,
    evaluateEvery: 5,
  });
  expect(outcome.candidates.map(({ id, verdict, failed, bound }) => ({ id, verdict, failed, bound }))).toEqual(
    ['copy', 'fine_tune@5'].map((id) => ({ id, verdict: 'failed', failed: ['value'], bound: null })),
  );
  expect(outcome).toMatchObject({ ready: false, best: { id: 'fine_tune@5', metric: { curtailed: { measured: 60 } } } });
  expect(outcome.rungs.map(({ candidate }) => candidate?.id)).toEqual(['copy', 'fine_tune@5']);
  expect(looks).toEqual(looks.map(() => ({ reference: OLD, whole: false })));
});
