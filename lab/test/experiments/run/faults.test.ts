import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../../../cli/process/errors.ts';
import type { Laboratory } from '../../../experiments/measurement/laboratory.ts';
import { measureItem } from '../../../experiments/measurement/measure-item.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import type { CellRecord, ItemRecord, ResultRecord } from '../../../experiments/records.ts';
import { toMarkdown } from '../../../experiments/report/markdown.ts';
import { summarize } from '../../../experiments/report/summary.ts';
import { Results, ResultsFile } from '../../../experiments/results.ts';
import { countingDeaths } from '../../../experiments/run/deaths.ts';
import { isMachineFault } from '../../../experiments/run/machine-fault.ts';
import { standingOf } from '../../../experiments/run/standing.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

const experiment = tinyExperiment();
const items = planExperiment(experiment);
const job = items.find((item) => item.type === 'cell')!;
const tenant = items.find((item) => item.type === 'tenant')!;

/** Makes a laboratory in which preparing a tenant fails with this error. */
function failing(error: Error): Laboratory {
  const { signal } = new AbortController();
  const refuse = () => Promise.reject(error);
  return { options: { signal }, oldBase: Promise.resolve(null), tenant: refuse } as unknown as Laboratory;
}
const full = new Error('cannot save', { cause: Object.assign(new Error('full'), { code: 'ENOSPC' }) });

it.each([job, tenant])('a fault of the machine ends the run, and any other error is recorded ($type)', async (item) => {
  await expect(measureItem(failing(full), item)).rejects.toBe(full);
  const found = await measureItem(failing(new Error('the loss is not a number')), item);
  expect(found).toMatchObject({ error: 'Error: the loss is not a number' });
  expect(found).toMatchObject(item === job ? { type: 'cell', state: 'failed' } : { type: 'failed_tenant', seed: 1 });
});

it('a mistake of the file ends the run before a tenant is given up', async () => {
  const mistake = new UsageError('too few rows');
  await expect(measureItem(failing(mistake), tenant)).rejects.toBe(mistake);
});

it('faults of the machine are those of the system and of memory, and not those of a job', () => {
  const coded = (code: string): Error => Object.assign(new Error(code), { code });
  for (const code of ['ENOSPC', 'EIO', 'EMFILE', 'ENOENT', 'insufficient_memory', 'missing_file'])
    expect([code, isMachineFault(coded(code))]).toEqual([code, true]);
  for (const text of ['Array buffer allocation failed', 'std::bad_alloc'])
    expect(isMachineFault(new Error('the job failed', { cause: new RangeError(text) }))).toBe(true);
  for (const error of [coded('ERR_INVALID_ARG_TYPE'), coded('invalid_dataset'), new RangeError('too long'), 'ENOSPC'])
    expect(isMachineFault(error)).toBe(false);
});

describe('a tenant whose old adapter cannot be trained', () => {
  const failed = (attempt: number): ResultRecord => {
    const name = { task: 'past', adapter: 'lora4', seed: 1 };
    return { type: 'failed_tenant', key: tenant.key, ms: 1, at: '', attempt, error: 'Error: no', ...name };
  };

  it('is tried once more, and then left out of all strategies', () => {
    expect(standingOf(items, new Results([failed(1)]), null).open).toHaveLength(items.length);
    const { open } = standingOf(items, new Results([failed(2)]), null);
    // The items of the first seed: the tenant, its reference and two jobs.
    expect(open).toHaveLength(items.length - 4);
    expect(open.every((item) => item.type === 'evolution' || item.tenant.seed === 2)).toBe(true);
  });

  it('is named by the report', () => {
    const summary = summarize(experiment, items, [failed(2)]);
    expect(summary).toMatchObject({ planned: items.length - 4, measured: 0 });
    expect(toMarkdown(experiment, summary, { charts: [], command: '' })).toContain(
      'The tenant past lora4 seed-1 is excluded from all strategies, because its old adapter could not be trained: ' +
        'Error: no',
    );
  });
});

describe('a job whose process is killed', () => {
  let out: string;
  beforeEach(async () => {
    out = await mkdtemp(path.join(tmpdir(), 'readapt-deaths-'));
  });
  afterEach(() => rm(out, { recursive: true, force: true }));

  const file = (): Promise<ResultsFile> => ResultsFile.open(path.join(out, 'results.jsonl'));
  const record = (state: string): Promise<ItemRecord> =>
    Promise.resolve({ type: 'cell', key: job.key, state, ms: 1 } as unknown as ItemRecord);
  const interrupted = (): Promise<ItemRecord> => Promise.reject(new Error('interrupted'));

  /** Opens the results as another process would, resumes the job and appends its record. @returns the job's state */
  async function attempt(take: () => Promise<ItemRecord>): Promise<unknown> {
    const results = await file();
    try {
      const found = await countingDeaths(job, results, { take, giveUp: () => record('failed') });
      await results.append(found);
      return (found as CellRecord).state;
    } finally {
      await results.close();
    }
  }
  /** Writes the line of an attempt without an end, as a killed process leaves it. */
  async function die(): Promise<void> {
    const results = await file();
    await new Promise<void>((resolve) => {
      const take = (): Promise<ItemRecord> => {
        resolve();
        return new Promise(() => undefined);
      };
      void countingDeaths(job, results, { take, giveUp: () => record('failed') });
    });
    await results.close();
  }

  it('twice counts as failed, and once does not', async () => {
    await die();
    expect(await attempt(() => record('ready'))).toBe('ready');
    // The job is run again because its published adapter is gone.
    await die();
    expect(await attempt(() => record('ready'))).toBe('ready');
    await die();
    await die();
    expect(await attempt(() => record('ready'))).toBe('failed');
  });

  it('is not one that ends by an error or an interruption', async () => {
    for (let i = 0; i < 3; i++) await expect(attempt(interrupted)).rejects.toThrow('interrupted');
    await die();
    await expect(attempt(interrupted)).rejects.toThrow('interrupted');
    expect(await attempt(() => record('ready'))).toBe('ready');
  });
});
