import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import type { Precision } from '../../../core/options/precisions.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;

beforeAll(async () => void (family = await createTinyFamily()));
afterAll(() => removeTinyFamily(family));

/** Runs a job that publishes the copy, in a process that has room for one base at a time. */
async function run(name: string, precision: Precision, changes: Partial<JobSpec> = {}) {
  const loaded: string[] = [];
  const onLoad = ({ folder }: { folder: string }): void => void loaded.push(path.basename(folder));
  const bases = new BaseCache({ precision, threads: 1, capacity: 1, onLoad });
  const gate = { kind: 'relative', margin: 10 } as const;
  const spec = plainJob(family, name, {
    gate,
    adapterOptions: { append_eos: 'no' },
    options: { strategy: 'reuse' },
    baselines: 'needed',
    ...changes,
  });
  const events: JobEvent[] = [];
  try {
    const { state } = await runAdaptation(
      bases,
      spec,
      (event) => void events.push(event),
      new AbortController().signal,
    );
    const [oldOutcomes = null] = events.flatMap((event) => (event.type === 'old_measured' ? [event.outcomes] : []));
    return { state, loaded, oldOutcomes };
  } finally {
    await bases.dispose();
  }
}

test('a job returns to the new base if the old version was measured only in the other precision before', async () => {
  const { oldOutcomes } = await run('exact', 'f32');
  const { state, loaded } = await run('rounded', 'int8', { oldOutcomes });
  expect([state, loaded]).toEqual(['ready', ['v2', 'base', 'v2']]);
});
