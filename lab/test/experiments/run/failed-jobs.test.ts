import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planExperiment } from '../../../experiments/plan.ts';
import { cellsIn, runTiny } from '../support/run-tiny.ts';
import { tinyExperiment } from '../support/tiny-experiment.ts';

/** Experiment with one job. */
const only = (yaml: string): string =>
  yaml.replace('seeds: [1, 2]', 'seeds: [1]').replace(/ {2}- \{ name: (scratch|tuned).*\n/g, '');
const refused = tinyExperiment((yaml) =>
  only(yaml).replace('exact_match', 'loss').replace('target: 1', 'target: 1, max_negative_flips: 0.1'),
);
const tooFewRows = tinyExperiment((yaml) => only(yaml).replace('rows: [16]', 'rows: [40]'));

describe('a job that fails by an error', () => {
  let out: string;
  beforeEach(async () => {
    out = await mkdtemp(path.join(tmpdir(), 'readapt-failed-'));
  });
  afterEach(() => rm(out, { recursive: true, force: true }));

  const jobLines = async (): Promise<string[]> =>
    (await readFile(path.join(out, 'results.jsonl'), 'utf8')).split('\n').filter((line) => line.includes('"cell"'));

  it('is run once more, and then never again', async () => {
    const interrupted = await runTiny(refused, out, { onLog: (line) => line.includes('FAILED') });
    expect(cellsIn(interrupted)).toHaveLength(1);
    expect(cellsIn(interrupted)[0]).not.toHaveProperty('attempt');
    const records = await runTiny(refused, out);
    expect(cellsIn(records)).toMatchObject([
      { state: 'failed', attempt: 2, error: expect.stringContaining('limit of negative flips') as string },
    ]);
    expect(cellsIn(records)[0]!.elapsedMs).toBeGreaterThan(0);
    await runTiny(refused, out);
    expect(await jobLines()).toHaveLength(2);
  });

  it('has failed, too, if the process was killed twice while it ran', async () => {
    const { key } = planExperiment(refused).find((item) => item.type === 'cell')!;
    const killed = { type: 'begun', key: `begun ${key}`, unended: 2, ms: 0, at: '2026-01-01T00:00:00Z' };
    await writeFile(path.join(out, 'results.jsonl'), `${JSON.stringify(killed)}\n`);
    expect(cellsIn(await runTiny(refused, out))).toMatchObject([
      { state: 'failed', attempt: 2, elapsedMs: 0, error: expect.stringContaining('was killed') as string },
    ]);
  });

  it('counts as any other if it succeeds then', async () => {
    let repaired: Promise<void> | undefined;
    const repair = async (): Promise<void> => {
      const [tenant] = await readdir(path.join(out, 'tenants'));
      const train = path.join(out, 'tenants', tenant!, 'train.jsonl');
      const rows = await readFile(train, 'utf8');
      await writeFile(train, rows.repeat(2));
    };
    await runTiny(tooFewRows, out, {
      onLog: (line) => {
        if (line.includes('FAILED')) repaired = repair();
        return line.includes('FAILED');
      },
    });
    await repaired;
    expect(cellsIn(await runTiny(tooFewRows, out))).toMatchObject([{ state: 'not_ready', attempt: 2 }]);
    await runTiny(tooFewRows, out);
    expect(await jobLines()).toHaveLength(2);
  });
});
