import { afterAll, beforeAll, expect, test } from 'vitest';
import { isIncomplete, measureBaselines } from '../../../core/adaptation/baselines.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;
beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

const signal = new AbortController().signal;

async function run(name: string, changes: Partial<JobSpec>) {
  const old: GateOutcomes[] = [];
  const job = plainJob(family, name, { options: { strategy: 'reuse' }, ...changes });
  const outcome = await runAdaptation(
    bases,
    job,
    (e) => void (e.type === 'old_measured' && old.push(e.outcomes)),
    signal,
  );
  return { job, outcome, old };
}

test.each([
  ['relative', { kind: 'relative', margin: 10 }, 'revert'],
  ['absolute', { kind: 'absolute', target: 100 }, 'revert'],
  ['absolute, not ready', { kind: 'absolute', target: -1 }, 'reuse'],
] as const)('baselines that a job left out are those that it would have measured: %s', async (name, gate, strategy) => {
  const options = { strategy };
  const whole = await run(`${name} whole`, { gate, options });
  expect(isIncomplete(whole.outcome.baselines)).toBe(false);
  const needed = await run(`${name} needed`, { gate, options, baselines: 'needed' });
  const { baselines: known, rowFormat, precision } = needed.outcome;
  expect(isIncomplete(known)).toBe(true);
  const later = await measureBaselines(
    bases,
    { job: needed.job, known, rowFormat: rowFormat!, precision: precision! },
    signal,
  );
  expect(later.baselines).toEqual(whole.outcome.baselines);
  expect([...needed.old, ...(later.oldOutcomes ? [later.oldOutcomes] : [])]).toEqual(whole.old);
});

test('what the ladder has measured is not left out', async () => {
  const { outcome } = await run('reused', { gate: { kind: 'absolute', target: 100 }, baselines: 'needed' });
  expect(outcome.baselines).toEqual({ old: null, none: null, copy: outcome.best!.metric.value });
});

test('outcomes that an earlier rollout has stored are not measured again', async () => {
  const gate = { kind: 'absolute', target: 100 } as const;
  const { old } = await run('stored', { gate });
  const { job, outcome } = await run('with stored', { gate, baselines: 'needed', oldOutcomes: old[0]! });
  const { baselines: known, rowFormat, precision } = outcome;
  const spec = { job, known, rowFormat: rowFormat!, precision: precision! };
  expect(await measureBaselines(bases, spec, signal)).toMatchObject({
    baselines: { old: old[0]!.value },
    oldOutcomes: null,
  });
});
