import { afterAll, beforeAll, expect, test } from 'vitest';
import { tasteRows } from '../../unit/training/support/tiny-task.ts';
import { createTinyFleet, type TinyFleet } from '../training/tiny-fleet.ts';

const LIMIT = 4000;

let fleet: TinyFleet;

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 2, env: { READAPT_MEASURED_TOKENS: String(LIMIT) } });
});
afterAll(() => fleet.close());

test('100,000 gate rows of one adapter cost no more tokens than the setting says, and its job says so', async () => {
  const rows = (count: number, split: string) => tasteRows(count, 500).map((row) => ({ ...row, split }));
  await fleet.replaceData(0, [...rows(64, 'training'), ...rows(16, 'search'), ...gateRows(100_000)]);
  await fleet.startWorker();
  const jobs = await fleet.roll({ strategy: 'reuse' });
  const [large, small] = [0, 1].map((index) => jobs.find((job) => job.adapter_name === `adapter-${index}`)!);
  const sample = 'of 100000 gate rows are used, a random sample that is always the same: ';
  expect(large!.warnings.join('\n')).toMatch(
    new RegExp(String.raw`^\d+ ${sample}.+ 4000 tokens \(READAPT_MEASURED_TOKENS\)$`, 'm'),
  );
  expect(small!.warnings).toEqual([]);
  const old = await fleet.db.gateOutcomes.findMany({ select: { values: true } });
  const counts = old.map(({ values }) => values.length).sort((a, b) => a - b);
  expect(counts[0]).toBe(32);
  expect(counts[1]).toBeGreaterThan(100);
  expect(counts[1]).toBeLessThan(LIMIT / 2);
});

/** Rows whose prompts differ from those of the search rows. */
function gateRows(count: number): object[] {
  const taste = tasteRows(1000, 700);
  return Array.from({ length: count }, (_, index) => ({ ...taste[index % taste.length]!, split: 'gate' }));
}
