import { appendFile, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultRecord } from '../../experiments/records.ts';
import { Results, ResultsFile } from '../../experiments/results.ts';

const record = (key: string, ms = 1): ResultRecord => ({ type: 'reference', key, ms }) as ResultRecord;

describe('the file of raw results', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-results-'));
    file = path.join(folder, 'deep', 'results.jsonl');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function write(...records: ResultRecord[]): Promise<void> {
    const results = await ResultsFile.open(file);
    for (const one of records) await results.append(one);
    await results.close();
  }

  it('cuts off an incomplete last line, keeps the other lines and appends after them', async () => {
    await write(record('a'), record('b'));
    const whole = await readFile(file, 'utf8');
    await appendFile(file, '{"type":"cell","key":"c","ms"');
    await write(record('d'));
    expect(await readFile(file, 'utf8')).toBe(`${whole}${JSON.stringify(record('d'))}\n`);
  });

  it('is only read by what measures nothing: an incomplete last line is left out and stays', async () => {
    expect((await Results.read(file)).records).toEqual([]);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
    await write(record('a'));
    await appendFile(file, '{"type":"cell","key":"c","ms"');
    const before = await readFile(file, 'utf8');
    expect((await Results.read(file)).records).toEqual([record('a')]);
    expect(await readFile(file, 'utf8')).toBe(before);
  });

  it('keeps the last record of a key', async () => {
    await write(record('a', 1), record('b'), record('a', 2));
    const results = await ResultsFile.open(file);
    expect(results.records).toEqual([record('a', 2), record('b')]);
    await results.close();
  });

  it('adds up what all lines of some keys took, also those that a later line replaces', async () => {
    await write(record('a', 1), record('b', 10), record('a', 100));
    const results = await ResultsFile.open(file);
    await results.append(record('a', 1000));
    expect(results.timeOf(new Set(['a', 'c']))).toBe(1101);
    expect(results.recordOf('a')).toEqual(record('a', 1000));
    await results.close();
  });

  it('names a line in the middle that is not JSON, and leaves the file as it is', async () => {
    await write(record('a'));
    await writeFile(file, `${JSON.stringify(record('a'))}\nnonsense\n${JSON.stringify(record('b'))}\n`);
    await expect(ResultsFile.open(file)).rejects.toThrow('line 2 is not JSON');
    expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(4);
  });

  it.runIf(process.platform === 'linux')('is not left open where it cannot be read', async () => {
    await write(record('a'));
    await writeFile(file, 'nonsense\n');
    await expect(ResultsFile.open(file)).rejects.toThrow('line 1 is not JSON');
    const open = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    expect(await Promise.all(open)).not.toContain(file);
  });
});
