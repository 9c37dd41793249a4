import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

/** One job, which has more rows than there are. */
const experiment = tinyExperiment((yaml) =>
  yaml
    .replace('rows: [16]', 'rows: [40]')
    .replace('seeds: [1, 2]', 'seeds: [1]')
    .replace(/ {2}- \{ name: (scratch|tuned).*\n/g, ''),
);

describe('a job that fails by an error', () => {
  let out: string;
  beforeEach(async () => {
    out = await mkdtemp(path.join(tmpdir(), 'readapt-failed-'));
  });
  afterEach(() => rm(out, { recursive: true, force: true }));

  const jobLines = async (): Promise<string[]> =>
    (await readFile(path.join(out, 'results.jsonl'), 'utf8')).split('\n').filter((line) => line.includes('"cell"'));

  it('is run once more, and then never again', { timeout: 60_000 }, async () => {
    const interrupted = await runTiny(experiment, out, { onLog: (line) => line.includes('FAILED') });
    expect(cellsIn(interrupted)).toHaveLength(1);
    expect(cellsIn(interrupted)[0]).not.toHaveProperty('attempt');
    const records = await runTiny(experiment, out);
    expect(cellsIn(records)).toMatchObject([
      { state: 'failed', attempt: 2, error: expect.stringContaining('rows has 40, expected at most 32') as string },
    ]);
    expect(cellsIn(records)[0]!.ms).toBeGreaterThan(0);
    await runTiny(experiment, out);
    expect(await jobLines()).toHaveLength(2);
  });

  it('counts as any other if it succeeds then', { timeout: 60_000 }, async () => {
    let repaired: Promise<void> | undefined;
    const repair = async (): Promise<void> => {
      const [tenant] = await readdir(path.join(out, 'tenants'));
      const train = path.join(out, 'tenants', tenant!, 'train.jsonl');
      const rows = await readFile(train, 'utf8');
      await writeFile(train, rows.repeat(2));
    };
    await runTiny(experiment, out, {
      onLog: (line) => {
        if (line.includes('FAILED')) repaired = repair();
        return line.includes('FAILED');
      },
    });
    await repaired;
    expect(cellsIn(await runTiny(experiment, out))).toMatchObject([{ state: 'not_ready', attempt: 2 }]);
    await runTiny(experiment, out);
    expect(await jobLines()).toHaveLength(2);
  });
});
