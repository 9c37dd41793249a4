import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { jobSpec } from '../../../experiments/measurement/job-spec.ts';
import type { Laboratory } from '../../../experiments/measurement/laboratory.ts';
import type { Tenant } from '../../../experiments/measurement/tenant.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

let workDir: string;
beforeEach(async () => {
  workDir = await mkdtemp(path.join(tmpdir(), 'readapt-job-spec-'));
});
afterEach(() => rm(workDir, { recursive: true, force: true }));

const laboratory = {
  options: { base: '/base' },
  evolutionFolder: () => '/evolution',
} as unknown as Laboratory;

it.each([
  ['the tenant', '', 2],
  ['the tenant and what the experiment adds', 'job_seed: 1000', 1002],
])('gives a job the seed of %s, and the options of its number of rows', async (_, setting, seed) => {
  const experiment = tinyExperiment((yaml) =>
    `${yaml}\n${setting}\n`.replace('options: { max_steps: 2 }', 'options_by_rows: { 16: { max_steps: 7 } }'),
  );
  const item = planExperiment(experiment).find(
    (one) => one.type === 'cell' && one.tenant.seed === 2 && one.strategy.name === 'scratch',
  );
  if (item?.type !== 'cell' || 'pool' in item.tenant.task) throw new Error('the plan has no such job');
  const { train, validation, test } = item.tenant.task;
  const tenant: Tenant = { spec: item.tenant, adapter: '/adapter', train, validation, test };
  const { spec } = await jobSpec(laboratory, item, { tenant, workDir });
  expect(spec.options).toEqual({ batch_size: 8, evaluate_every: 2, max_steps: 7, strategy: 'scratch', seed });
});
