import { expect, it } from 'vitest';
import { createProgressView } from '../../../../cli/watch/progress-view.ts';
import type { Job } from '../../../../cli/remote/client.ts';

const JOB = {
  id: 'job_1',
  adapter_name: 'plurals',
  kind: 'adaptation',
  state: 'held',
  phase: 'held',
  step: 0,
  total_steps: 300,
  phases: { queue_wait: 1000, held: 2000 },
  metric: { name: 'accuracy', best: null },
} as unknown as Job;

/** Output of a view without a terminal. */
function lines(updates: readonly (readonly [job: Partial<Job>, elapsedMs: number, heading?: string])[]): string[] {
  const written: string[] = [];
  const view = createProgressView({ write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream);
  for (const [job, elapsedMs, heading] of updates)
    view.update([{ ...JOB, ...job }], elapsedMs, heading === undefined ? [] : [heading]);
  view.close();
  return written.map((line) => line.trimEnd());
}

it('a job that only waits is printed once, however long it waits', () => {
  const hours = Array.from({ length: 1000 }, (_, second) => [{}, second * 10_000] as const);
  expect(lines(hours)).toEqual(['   0.0 s  plurals                       held          held']);
});

it('a job that goes on is printed now and then, and its end at once', () => {
  const running = { state: 'fine_tuning', phase: 'fine_tune' } as const;
  const printed = lines([
    [{ ...running, step: 1 }, 0],
    [{ ...running, step: 2 }, 1000],
    [{ ...running, step: 9 }, 4000],
    [{ ...running, state: 'ready', step: 9 }, 4500],
  ]);
  expect(printed.map((line) => line.replace(/ +/g, ' ').trim())).toEqual([
    '0.0 s plurals fine_tuning fine_tune step 1/300',
    '4.0 s plurals fine_tuning fine_tune step 9/300',
    '3.0 s plurals ready step 9/300',
  ]);
});

it('a heading is printed when it changes', () => {
  const headings = ['planning', 'planning', 'adapting'].map((heading, second) => [{}, second * 10, heading] as const);
  expect(lines(headings).filter((line) => !line.includes('plurals'))).toEqual(['planning', 'adapting']);
});
