import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_LISTED_FLIPS, negativeFlips } from '../../../core/adaptation/measurements/negative-flips.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { TaskDataError } from '../../../core/data/task-data.ts';
import type { TokenizedExample } from '../../../core/data/example.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import type { GateMeasurement } from '../../../core/method/gate/readiness-gate.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';

const measured = (values: readonly number[], name: MetricName = 'accuracy'): GateMeasurement => ({
  metric: { name, value: 0, rows: values.length, standardError: 0 },
  outcomes: { values, tokens: values.map(() => 1) },
});

describe('negative flips', () => {
  const rows = [7, 4, 9, 12].map((line, i): TokenizedExample => ({
    ...{ tokenIds: [], labelSpans: [] },
    row: { prompt: 'secret', completion: 'secret', line, ...(i > 0 && { slices: ['de', 'de', `s${i}`] }) },
  }));

  it('are the rows that were right and are wrong, by line, with their slices and without their texts', () => {
    const found = negativeFlips(rows, measured([1, 1, 0, 1]), measured([0, 0, 0, 1]));
    expect(found).toEqual([
      { row: 4, slices: ['de', 's1'] },
      { row: 7, slices: [] },
    ]);
  });

  it('are none where no version is compared, or rows are neither right nor wrong', () => {
    expect(negativeFlips(rows, null, measured([0, 0, 0, 0]))).toEqual([]);
    const [before, after] = [measured([1, 1, 1, 1], 'loss'), measured([0, 0, 0, 0], 'loss')];
    expect(negativeFlips(rows, before, after)).toEqual([]);
  });

  it('are listed up to a limit', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => ({ ...rows[0]!, row: { ...rows[0]!.row, line: i + 1 } }));
    const found = negativeFlips(many, measured(many.map(() => 1)), measured(many.map(() => 0)));
    expect(found).toHaveLength(MAX_LISTED_FLIPS);
    expect(found.at(-1)).toMatchObject({ row: MAX_LISTED_FLIPS });
  });
});

describe('a job with critical slices', () => {
  let family: TinyFamily;
  let bases: BaseCache;
  beforeAll(async () => {
    family = await createTinyFamily();
    bases = new BaseCache({ threads: 1 });
    const rows = tasteRows(32).map((row, i) => {
      return { ...row, split: i < 8 ? 'search' : 'gate', slices: [i % 3 === 0 ? 'third' : 'rest'] };
    });
    await writeFile(path.join(family.folder, 'sliced.jsonl'), toJsonl(rows));
  });
  afterAll(async () => {
    await bases.dispose();
    await removeTinyFamily(family);
  });

  const run = (name: string, gate: GateRule) => {
    const spec = plainJob(family, name, {
      ...{ data: { file: path.join(family.folder, 'sliced.jsonl') }, metric: 'exact_match', gate },
      options: { strategy: 'reuse', max_new_tokens: 2 },
    });
    return runAdaptation(bases, spec, () => undefined, new AbortController().signal);
  };

  it('reports them, and every row that the candidate flips', async () => {
    const slices = [{ name: 'third', margin: 1 }];
    const { best, flips, slices: values } = await run('sliced', { kind: 'relative', margin: 0.9, slices });
    const rows = Array.from({ length: 24 }, (_, i) => i + 8).filter((i) => i % 3 === 0).length;
    expect(best!.certificate!.slices).toMatchObject([
      { name: 'third', rows, value: values.best['third']!.value, old: values.old['third']!.value },
    ]);
    expect(flips).toHaveLength(Math.round(best!.negativeFlips! * 24));
    for (const { row, slices: named } of flips) expect(named).toEqual([(row - 1) % 3 === 0 ? 'third' : 'rest']);
  });

  it('fails where no gate row is in one of them, and says which slices there are', async () => {
    const job = run('unknown', { kind: 'relative', margin: 0.5, slices: [{ name: 'missing', margin: 0.1 }] });
    await expect(job).rejects.toThrow(TaskDataError);
    await expect(job).rejects.toThrow(
      'the gate names the slice missing, which no gate row is in: they name rest, third',
    );
  });
});
