import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sum } from '../report/statistics.ts';
import type { OperatorSeconds, StepProfile } from './side-protocol.ts';

/** Event of ONNX Runtime's profile. The events of kernels come before that of the `model_run` which they belong to. */
interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  /** Duration in microseconds. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

/** Matches operators that multiply matrices: MatMul, FusedMatMul, MatMulIntegerToFloat, Gemm … */
const PRODUCT = /MatMul|Gemm/;

/**
 * Profiles training steps, leaving out the first one.
 * @param takeSteps takes `count` steps with a runtime that writes profiles to `prefix`, disposes of the runtime, and
 *   returns the seconds of each step
 */
export async function profileSteps(
  steps: number,
  takeSteps: (prefix: string, count: number) => Promise<number[]>,
): Promise<StepProfile> {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-profile-'));
  try {
    const seconds = await takeSteps(path.join(folder, 'profile'), steps + 1);
    const files = await Promise.all((await readdir(folder)).map((file) => readFile(path.join(folder, file), 'utf8')));
    const sessions = files.map((text) => JSON.parse(text) as ProfileEvent[]);
    return { ...sumRuns(sessions, steps), step: sum(seconds.slice(1)) / steps };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Averages the kernel times of the last `steps` of `steps + 1` equal steps.
 * @param sessions events of each inference session, which may run several times in a step, or not at all
 * @returns seconds in one step
 */
export function sumRuns(sessions: readonly (readonly ProfileEvent[])[], steps: number): Omit<StepProfile, 'step'> {
  const operators: Record<string, number> = {};
  let graph = 0;
  for (const run of sessions.flatMap((events) => lastRuns(events, steps))) {
    for (const { cat, name, dur, args } of run) {
      const seconds = dur / 1e6 / steps;
      if (name === 'model_run') graph += seconds;
      if (cat !== 'Node' || !name.endsWith('_kernel_time')) continue;
      const operator = args?.op_name ?? 'unknown';
      operators[operator] = (operators[operator] ?? 0) + seconds;
    }
  }
  return { operators, products: productSeconds(operators), graph };
}

function lastRuns(events: readonly ProfileEvent[], steps: number): ProfileEvent[][] {
  const runs: ProfileEvent[][] = [];
  let run: ProfileEvent[] = [];
  for (const event of events) {
    run.push(event);
    if (event.name !== 'model_run') continue;
    runs.push(run);
    run = [];
  }
  const used = steps * Math.floor(runs.length / (steps + 1));
  return runs.slice(runs.length - used);
}

function productSeconds(operators: OperatorSeconds): number {
  return sum(Object.entries(operators).map(([name, seconds]) => (PRODUCT.test(name) ? seconds : 0)));
}
