import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadTaskData, TaskDataError } from '../../../core/data/task-data.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';
import { keepGateApart, splitRows } from '../../../core/data/task-split.ts';

function rows(count: number, split?: 'training' | 'search' | 'gate') {
  return Array.from({ length: count }, (_, i) => ({
    prompt: `${split ?? 'row'} ${i}`,
    completion: 'x',
    line: i + 1,
    ...(split && { split }),
  }));
}

describe('splitRows', () => {
  it('keeps the splits that rows name, and makes a row without one a training row', () => {
    const all = [...rows(5, 'training'), ...rows(3, 'search'), ...rows(4, 'gate'), ...rows(2)];
    const { training, search, gate } = splitRows(all);
    expect([training.length, search.length, gate.length]).toEqual([7, 3, 4]);
    expect(gate.every(({ prompt }) => prompt.startsWith('gate'))).toBe(true);
  });

  it('divides rows without overlap if none names a split, whatever their order', () => {
    const all = rows(200);
    const { training, search, gate } = splitRows(all);
    expect([training.length, search.length, gate.length]).toEqual([160, 20, 20]);
    expect(new Set([...training, ...search, ...gate].map(({ prompt }) => prompt)).size).toBe(200);
    const reversed = splitRows([...all].reverse());
    expect(reversed.gate.map(({ prompt }) => prompt).sort()).toEqual(gate.map(({ prompt }) => prompt).sort());
  });

  it('keeps equal prompts together', () => {
    const all = rows(50).flatMap((row) => [row, { ...row, completion: 'y' }]);
    const { training, search, gate } = splitRows(all);
    const prompts = [training, search, gate].map((list) => new Set(list.map(({ prompt }) => prompt)));
    expect(prompts.map((set) => set.size).reduce((a, b) => a + b)).toBe(50);
  });

  it('divides the search rows into search and gate rows if no row is a gate row', () => {
    const { training, search, gate } = splitRows([...rows(5, 'training'), ...rows(300, 'search')]);
    expect([training.length, search.length, gate.length]).toEqual([5, 64, 236]);
  });
});

describe('keepGateApart', () => {
  it('removes exactly the search rows that have the prompt of a gate row', () => {
    const [search, gate] = [rows(5, 'search'), rows(4, 'gate')];
    const shared = { ...gate[1]!, completion: 'y', split: 'search' as const };
    const { rows: apart, removed } = keepGateApart({
      training: rows(3, 'training'),
      search: [...search, shared],
      gate,
    });
    expect(removed).toBe(1);
    expect(apart.search).toEqual(search);
    expect(apart.gate).toEqual(gate);
    const prompts = new Set(apart.gate.map(({ prompt }) => prompt));
    expect(apart.search.some(({ prompt }) => prompts.has(prompt))).toBe(false);
  });
});

describe('loadTaskData', () => {
  const row = (prompt: string, split: string) => JSON.stringify({ prompt, completion: 'x', split });

  it.each([
    ['no held-out rows', [row('a', 'training')], 'the dataset has 0 search rows and 0 gate rows'],
    ['one held-out prompt', [row('a', 'search'), row('a', 'search')], 'the dataset has 0 search rows and 2 gate rows'],
    ['search rows with the prompts of gate rows', [row('a', 'search'), row('a', 'gate')], 'each of the 1 search rows'],
  ])('refuses a task with %s', async (_, lines, message) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'readapt-task-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = path.join(folder, 'task.jsonl');
    await writeFile(file, lines.join('\n'));
    const config = { maxPositionEmbeddings: 8, eosTokenIds: [] };
    const loaded = loadTaskData({ file }, { tokenizer: characterTokenizer(), config });
    await expect(loaded).rejects.toThrow(TaskDataError);
    await expect(loaded).rejects.toThrow(message);
  });
});
