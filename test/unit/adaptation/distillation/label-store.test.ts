import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { labelInParts } from '../../../../core/adaptation/distillation/label-store.ts';

let folder: string;
beforeEach(async () => void (folder = path.join(await mkdtemp(path.join(tmpdir(), 'readapt-labels-')), 'teacher')));
afterEach(() => rm(path.dirname(folder), { recursive: true }));

const rows = [...Array(600).keys()];
const none = new AbortController().signal;

/** Doubles rows, and fails at a row. */
async function double({ subject = 'double', failsAt = Infinity, signal = none } = {}) {
  const asked: number[] = [];
  const labels = labelInParts(rows, { folder, subject, signal }, (part) => {
    if (part.includes(failsAt)) throw new Error('killed');
    asked.push(...part);
    return Promise.resolve(part.map((row) => 2 * row));
  });
  return { labels: await labels.catch((error: Error) => error.message), asked };
}

it('labels each row once, in order, and only what was not labelled before', async () => {
  expect((await double({ failsAt: 550 })).labels).toBe('killed');
  const { labels, asked } = await double();
  expect(labels).toEqual(rows.map((row) => 2 * row));
  expect(asked).toEqual(rows.slice(512));
  expect((await double()).asked).toEqual([]);
});

it('does not take labels of something else, or damaged ones', async () => {
  await double();
  expect((await double({ subject: 'another' })).asked).toEqual(rows);
  const [first] = (await readdir(folder)).filter((name) => name.endsWith('-256.json'));
  await truncate(path.join(folder, first!), 20);
  const again = [await double(), await double({ subject: 'another' })];
  expect(again.map(({ asked }) => asked)).toContainEqual(rows.slice(256, 512));
});

it('stops between two parts when the job is cancelled', async () => {
  const cancellation = new AbortController();
  const labels = labelInParts(rows, { folder, subject: '', signal: cancellation.signal }, (part) => {
    cancellation.abort(new Error('cancelled'));
    return Promise.resolve(part);
  });
  await expect(labels).rejects.toThrow('cancelled');
  expect(await readdir(folder)).toHaveLength(1);
});
