import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import type { Database } from '../../../../src/platform/database/database.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { JobProgress } from '../../../../src/fleet/job-control/job-lifecycle.repository.ts';
import { cpuMs } from '../../../../test/processor-time.ts';
import type { BenchStack } from '../stack.ts';
import type { PolledFleet } from './fleet.ts';

const ROOT = path.join(import.meta.dirname, '../../../..');
const FAMILY = path.join(ROOT, 'examples/demo-family');
/** Number of training steps: about an hour, more than the benchmark has time for. */
const STEPS = 20_000;

/** Training of the demo model on one thread, which runs until it is stopped. */
export interface Training {
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a training at the priority of a worker's training process, and waits until it computes. */
export async function startTraining(stack: BenchStack): Promise<Training> {
  const data = path.join(FAMILY, 'data/agnews');
  const args = ['--base', path.join(FAMILY, 'v1'), '--data', path.join(data, 'train.jsonl')];
  args.push('--validation', path.join(data, 'validation.jsonl'), '--out', path.join(stack.folder, 'trained'));
  args.push('--steps', String(STEPS), '--threads', '1');
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/readapt.js'), 'train', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  os.setPriority(child.pid!, os.constants.priority.PRIORITY_BELOW_NORMAL);
  const ended = once(child, 'exit');
  process.once('exit', () => child.kill());
  await startedComputing(child.stderr, ended);
  return {
    cpuMs: () => cpuMs(child.pid!).then(({ own }) => own),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/**
 * Waits for the line with the precision, the last one before the first step.
 * @throws Error if the training ends before
 */
async function startedComputing(lines: NodeJS.ReadableStream, ended: Promise<unknown[]>): Promise<void> {
  let said = '';
  const computes = new Promise<void>((resolve) => {
    lines.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
      if (/ in (f32|int8)/.test(said)) resolve();
    });
  });
  const failed = ended.then(() => {
    throw new Error(`the training ended before it computed: ${said}`);
  });
  await Promise.race([computes, failed]);
}

/** Milliseconds between two heartbeats of a job. */
const PROGRESS_MS = 500;
/** Number of heartbeats of a job. */
const BEATS = 8;

/**
 * Makes the writes of a worker that runs jobs, with its own statements: claims a job, writes its progress twice a
 * second, ends it after four seconds, and takes the next one.
 */
export function writeAsWorker(db: Database, { rolloutId, queued }: PolledFleet): { stop(): Promise<void> } {
  const lifecycle = createJobLifecycle({ db });
  let running = true;
  let wake = (): void => undefined;
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, PROGRESS_MS);
    });
  const work = async (): Promise<void> => {
    for (const jobId of queued) {
      const lease = { jobId, owner: 'bench' };
      await lifecycle.claim(lease);
      await lifecycle.advancePhase(lease, 'fine_tune');
      for (let beat = 1; beat <= BEATS && running; beat++) {
        await lifecycle.heartbeat(lease, progressAt(beat));
        await pause();
      }
      await lifecycle.end(lease, rolloutId, { state: 'not_ready' });
      if (!running) return;
    }
  };
  const done = work();
  return {
    stop: async () => {
      running = false;
      wake();
      await done;
    },
  };
}

function progressAt(step: number): JobProgress {
  const measured = { metricTarget: 0.8, metricOld: 0.8, metricNone: 0.4, metricCopy: 0.6, metricBest: 0.7 };
  return { step, totalSteps: BEATS, ...measured };
}
