/**
 * Training process with gauges: on SIGUSR2 it collects garbage and reports what it holds. Inference sessions are
 * counted at creation and release, so leaked ones count too.
 */
import * as tf from '@tensorflow/tfjs';
import { InferenceSession } from '../../../core/engine/compiled/onnx-runtime.ts';
import { collectGarbage } from '../../garbage.ts';

/** Resources held after a garbage collection. */
export interface Gauges {
  readonly type: 'gauges';
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly tensors: number;
  readonly sessions: number;
  /** Number of sessions created since the process started. */
  readonly made: number;
}

let sessions = 0;
let made = 0;
const create = InferenceSession.create.bind(InferenceSession) as (...args: unknown[]) => Promise<InferenceSession>;
InferenceSession.create = async (...args: unknown[]): Promise<InferenceSession> => {
  const bases = await create(...args);
  const release = bases.release.bind(bases);
  bases.release = async () => {
    await release();
    sessions--;
  };
  sessions++;
  made++;
  return bases;
};

process.on('SIGUSR2', () => {
  collectGarbage();
  const { rss, heapUsed } = process.memoryUsage();
  const gauges: Gauges = {
    type: 'gauges',
    rssBytes: rss,
    heapBytes: heapUsed,
    tensors: tf.memory().numTensors,
    sessions,
    made,
  };
  process.send?.(gauges);
});

await import('../../../workers/training/process.ts');
