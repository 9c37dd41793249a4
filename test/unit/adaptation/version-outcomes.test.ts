import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import { measureOutcomes } from '../../../core/adaptation/measurements/version-outcomes.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, toJsonl, type TinyFamily } from '../training/support/tiny-task.ts';

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

const never = new AbortController().signal;
const gate = { kind: 'relative', margin: 10 } as const;

/** Outcomes that a job which carries the version over measures. */
async function measuredByJob(job: JobSpec): Promise<GateOutcomes[]> {
  const old: GateOutcomes[] = [];
  await runAdaptation(bases, job, (event) => void (event.type === 'old_measured' && old.push(event.outcomes)), never);
  return old;
}

test.each<Pick<JobSpec, 'metric' | 'gate'>>([
  { metric: 'accuracy', gate },
  { metric: 'exact_match', gate: { kind: 'non_inferiority', margin: 0.1 } },
  { metric: 'rouge_l', gate },
  { metric: 'accuracy', gate: { kind: 'absolute', target: 0, max_negative_flips: 1 } },
])('is what a job measures that carries the version over: $metric, $gate.kind', async (task) => {
  const job = plainJob(family, `${task.metric} ${task.gate.kind}`, { options: { strategy: 'reuse' }, ...task });
  const { oldBase: base, adapter, data, metric } = job;
  const { outcomes } = await measureOutcomes(bases, { base, adapter, data, metric, gate: task.gate }, never);
  expect(outcomes).not.toBeNull();
  expect(await measuredByJob({ ...job, workDir: `${job.workDir}-again` })).toEqual([outcomes]);
  expect(await measuredByJob({ ...job, oldOutcomes: outcomes })).toEqual([]);
});

test('goes by the row format of the adapter and the bound of what may be measured', async () => {
  const { oldBase: base, adapter, data, metric } = plainJob(family, 'format', {});
  const spec = { base, adapter, data, metric, gate };
  const plain = await measureOutcomes(bases, { ...spec, adapterOptions: { append_eos: 'no' } }, never);
  const ended = await measureOutcomes(bases, { ...spec, adapterOptions: { append_eos: 'yes' } }, never);
  expect(ended.outcomes!.digest).not.toBe(plain.outcomes!.digest);
  const few = await measureOutcomes(bases, { ...spec, measuredTokens: 200 }, never);
  expect(few.outcomes!.values.length).toBeLessThan(plain.outcomes!.values.length);
  expect(await measuredByJob(plainJob(family, 'few', { gate, measuredTokens: 200 }))).toEqual([few.outcomes]);
});

test('refuses rows that do not suit the metric', async () => {
  const { oldBase: base, adapter } = plainJob(family, 'unsuitable', {});
  const file = path.join(family.folder, 'unsuitable.jsonl');
  const rows = Array.from({ length: 40 }, (_, i) => ({
    prompt: `row ${i}:`,
    completion: ` ${i}`,
    split: i % 2 ? 'gate' : 'search',
  }));
  await writeFile(file, toJsonl(rows));
  const spec = { base, adapter, data: { file }, metric: 'accuracy', gate } as const;
  await expect(measureOutcomes(bases, spec, never)).rejects.toThrow('metric accuracy needs a task');
});

test('ends when it is told to', async () => {
  const { oldBase: base, adapter, data, metric } = plainJob(family, 'told', {});
  const controller = new AbortController();
  controller.abort(new Error('a rollout comes first'));
  const spec = { base, adapter, data, metric, gate };
  await expect(measureOutcomes(bases, spec, controller.signal)).rejects.toThrow('a rollout comes first');
});
