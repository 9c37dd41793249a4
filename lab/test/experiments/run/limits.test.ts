import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExperimentOptions } from '../../../experiments/options.ts';
import type { ResultRecord } from '../../../experiments/records.ts';
import { runExperiment } from '../../../experiments/run/run-experiment.ts';
import { TINY_YAML } from '../support/tiny-experiment.ts';

/** Experiment with one tenant and one job. */
const YAML = TINY_YAML.replace('seeds: [1, 2]', 'seeds: [1]').replace(/ {2}- \{ name: (scratch|tuned).*\n/g, '');
/** Hours that are shorter than any item of the demo family. */
const NEXT_TO_NOTHING = 1e-9;

let out: string;
beforeEach(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'readapt-limits-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

/** Runs the command with a file of these settings. @returns its output */
async function command(more: string, options: Partial<ExperimentOptions> = {}, commit = 'abc1234') {
  const config = path.join(out, 'tiny.yaml');
  await writeFile(config, `${YAML}${more}\n`);
  const printed = { lines: [] as string[], document: {} as object, rows: [] as (readonly [string, string])[] };
  const given = { config, out, json: false, reportOnly: false, estimate: false, ...options };
  const output = {
    log: (line: string) => printed.lines.push(line),
    progress: () => undefined,
    result: (document: object, rows: readonly (readonly [string, string])[]) =>
      Object.assign(printed, { document, rows }),
  };
  await runExperiment(given, output, commit);
  return printed;
}

const file = (): string => path.join(out, 'results.jsonl');
const measured = async (): Promise<string[]> =>
  (await readFile(file(), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as ResultRecord).type)
    .filter((type) => type !== 'run' && type !== 'begun');

describe('the hours of an experiment', () => {
  it('let no item begin after them, all runs together, and the command overrides the file', async () => {
    await command('hours: 24', { hours: NEXT_TO_NOTHING });
    expect(await measured()).toEqual(['evolution']);
    await command(`hours: ${NEXT_TO_NOTHING}`);
    expect(await measured()).toEqual(['evolution']);
    const { lines } = await command('hours: 24');
    expect(await measured()).toEqual(['evolution', 'tenant', 'reference', 'cell']);
    expect(lines[0]).toMatch(/^tiny: 4 items, 1 done; .* of 24 hours spent$/);
  });

  it('count attempts that failed, and not what belongs to other experiments', async () => {
    await command('', { hours: NEXT_TO_NOTHING });
    const [key] = (await readFile(file(), 'utf8')).match(/evolution v2 #\w+/)!;
    await appendFile(file(), `${JSON.stringify({ type: 'evolution', key: 'another', ms: 9e9 })}\n`);
    expect(await command('', { estimate: true })).toMatchObject({ document: { planned: 4, measured: 1 } });
    await appendFile(file(), `${JSON.stringify({ type: 'evolution', key, ms: 3.6e6 })}\n`);
    const { document, rows } = await command('hours: 1', { estimate: true });
    expect((document as { spentMs: number }).spentMs).toBeGreaterThan(3.6e6);
    expect((document as { spentMs: number }).spentMs).toBeLessThan(3.7e6);
    expect(rows).toContainEqual(['hours', '1, which are spent']);
  });
});

it('what only finished experiments have is refused before anything is measured', async () => {
  const given = '  - { name: given, strategy: reuse, fleet: true }';
  await expect(command(given)).rejects.toThrow('its strategy given has fleet, which only');
  expect(await readFile(file(), 'utf8')).toBe('');
  expect(await command(given, { estimate: true })).toMatchObject({ document: { planned: 5, measured: 0 } });
});

describe('a blind experiment', () => {
  it('shows nothing of its test rows before its end', async () => {
    const part = await command('blind: true', { hours: NEXT_TO_NOTHING });
    expect(part.document).toEqual({
      experiment: 'tiny',
      planned: 4,
      measured: 1,
      spentMs: expect.any(Number) as number,
      leftMs: null,
    });
    expect(part.rows).toContainEqual(['left', 'unknown before an item of each kind is measured']);
    await expect(command('blind: true', { reportOnly: true })).rejects.toThrow('tiny is blind, and 3 of its items');
    expect(await readdir(out)).not.toContain('report.md');
    await expect(command('blind: true', {}, 'abc1234+')).rejects.toThrow('local changes (abc1234+)');
    await expect(command('blind: true', {}, 'def5678')).rejects.toThrow('commit is def5678, expected abc1234');
    const whole = await command('blind: true');
    for (const line of [...part.lines, ...whole.lines])
      expect(line).toMatch(/^(tiny: .*|3 items are not measured, .*|\[\d\/4\] [^:]*: [\d.]+ (ms|s)(; .*)?)$/);
    expect(whole.document).toMatchObject({ measured: 4, planned: 4 });
    expect(await readdir(out)).toContain('report.md');
    expect(await readFile(path.join(out, 'report.md'), 'utf8')).toMatch(
      /\d of 4 items ran under a load above \d+\.5\./,
    );
    // A report needs the results alone, also with a job that has failed for good.
    const failed = (await readFile(file(), 'utf8')).replace('"state":"not_ready"', '"state":"failed","attempt":2');
    for (const one of await readdir(out)) await rm(path.join(out, one), { recursive: true });
    await writeFile(file(), failed);
    const again = await command('blind: true', { reportOnly: true });
    expect(again.document).toMatchObject({ planned: 4, measured: 3, failed: 1 });
    await expect(command('blind: true')).rejects.toThrow('1 jobs failed');
  });
});
