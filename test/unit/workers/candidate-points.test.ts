import { expect, it } from 'vitest';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';
import {
  createJobEventHandler,
  type JobEventContext,
} from '../../../workers/adaptations/progress/job-event-handler.ts';

const METRIC = { name: 'accuracy', value: 0.6, rows: 400, standardError: 0.02 } as const;

function candidate(step: number, metric: CandidateRecord['metric']): CandidateRecord {
  return {
    id: step > 0 ? `fine_tune@${step}` : 'copy',
    rung: step > 0 ? 'fine_tune' : 'copy',
    strategy: step > 0 ? 'warm-start' : 'reuse',
    alpha: 1,
    beta: 0,
    step,
    metric,
    verdict: 'failed',
    certificate: null,
    needed: 0.7,
    bound: null,
    negativeFlips: null,
    failed: ['value'],
    searchLoss: null,
    elapsedMs: 1,
  };
}

it('a candidate whose look has ended early adds its number of rows to the points of its job', async () => {
  const told: unknown[] = [];
  const recorder = {
    step: 25,
    candidate: (value: number) => told.push({ best: value }),
    points: (points: readonly unknown[]) => told.push(...points),
  };
  const handle = createJobEventHandler({ recorder } as unknown as JobEventContext);
  const ended = { ...METRIC, rows: 250, available: 400 };
  await handle({ type: 'candidate', candidate: candidate(0, ended), outcomes: [] });
  await handle({ type: 'candidate', candidate: candidate(5, ended), outcomes: [] });
  await handle({ type: 'candidate', candidate: candidate(10, METRIC), outcomes: [] });
  expect(told).toEqual([
    { name: 'copy_rows', step: 0, value: 250 },
    { best: 0.6 },
    { name: 'copy_accuracy', step: 0, value: 0.6 },
    { name: 'gate_rows', step: 25, value: 250 },
    { best: 0.6 },
    { name: 'gate_accuracy', step: 25, value: 0.6 },
    { best: 0.6 },
    { name: 'gate_accuracy', step: 25, value: 0.6 },
  ]);
});
