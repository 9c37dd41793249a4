import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tenantKey } from '../../../experiments/plan/tenant-spec.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'readapt-end-of-text-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

/** Experiment with one tenant and a job that publishes the copy. */
const short = (yaml: string): string =>
  yaml
    .replace('seeds: [1, 2]', 'seeds: [1]')
    .replace('target: 1', 'target: 0')
    .replace(/ {2}- \{ name: scratch[^]*$/, '');
const ending = (yaml: string): string =>
  short(yaml).replace('metric: exact_match', 'metric: exact_match\n    append_eos: true');

it('is what old adapters learn where the task asks for it, and jobs then read it from their manifest', async () => {
  const experiment = tinyExperiment(ending);
  const [first] = cellsIn(await runTiny(experiment, out));
  expect(first!.state).toBe('ready');
  const [tenant] = await readdir(path.join(out, 'tenants'));
  const manifest = JSON.parse(
    await readFile(path.join(out, 'tenants', tenant!, 'adapter', 'readapt.json'), 'utf8'),
  ) as {
    append_eos: unknown;
  };
  expect(manifest.append_eos).toBe(true);
});

it('changes the keys of its task alone, and of no task that says no', () => {
  const keys = (change: (yaml: string) => string) =>
    planExperiment(tinyExperiment(change)).flatMap((item) => (item.type === 'tenant' ? [tenantKey(item.tenant)] : []));
  expect(keys(ending)).not.toEqual(keys(short));
  expect(keys((yaml) => ending(yaml).replace('append_eos: true', 'append_eos: false'))).toEqual(keys(short));
});
