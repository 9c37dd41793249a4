import type { Worker } from 'node:worker_threads';
import type { ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { modulePath, startThread } from '../../installation/child-module.ts';
import type { WeightSource } from './weight-source.ts';

/** Data that the thread is started with. */
export interface ThreadData {
  readonly folder: string;
  /** Memory that every tensor is read into; long enough for the base's largest one. */
  readonly memory: SharedArrayBuffer;
  /** The fingerprint, if these files were verified before. */
  readonly verified: string | null;
}

/** Answer of the thread to a request for a tensor by name. */
export type ThreadAnswer =
  | {
      readonly shape: readonly number[];
      /** Number of values at the beginning of the shared memory. */
      readonly length: number;
      /** Fingerprint of the base; null until the last tensor is read. */
      readonly fingerprint: string | null;
    }
  | { readonly failure: string };

/**
 * Calls `use` with a source whose weights a thread of their own reads, checks and, unless they were verified before,
 * hashes; then ends the thread. As with `streamed`, every tensor must be read once, in name order. All are read into
 * the same memory, which both threads share: memory that is moved between threads, or allocated for each tensor, costs
 * more time in garbage collections.
 * @param model the weights of the same folder, open in this thread
 */
export async function withWeightThread<T>(
  folder: string,
  model: ModelWeights,
  use: (source: WeightSource) => Promise<T>,
): Promise<T> {
  const memory = new SharedArrayBuffer(Float32Array.BYTES_PER_ELEMENT * Math.max(...countsOf(model)));
  const data: ThreadData = { folder, memory, verified: model.verified };
  const thread = startThread(modulePath('./weight-thread', import.meta.url), { workerData: data });
  const ended = endOf(thread, folder);
  let fingerprint: string | null = null;
  try {
    return await use({
      config: model.config,
      get fingerprint() {
        if (fingerprint !== null) return fingerprint;
        throw new Error('the fingerprint is not known before all tensors are read');
      },
      async readWeight(name) {
        const answered = new Promise<ThreadAnswer>((resolve) => void thread.once('message', resolve));
        thread.postMessage(name);
        const answer = await Promise.race([answered, ended]);
        if ('shape' in answer) {
          fingerprint = answer.fingerprint;
          return { shape: answer.shape, data: new Float32Array(memory, 0, answer.length) };
        }
        // Reading the tensor here throws the same error with all of its fields, which are lost between threads.
        await model.read(name);
        throw new Error(`tensor ${name} could not be read in a thread: ${answer.failure}`);
      },
    });
  } finally {
    await thread.terminate();
  }
}

/** Number of values of each tensor. */
export function countsOf(model: ModelWeights): number[] {
  return model.names.map((name) => model.shape(name).reduce((product, size) => product * size, 1));
}

/** Rejects when the thread ends, which it does on its own only after an error. */
function endOf(thread: Worker, folder: string): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread that reads ${folder} ended with code ${code}`)));
  });
  // If no request is waiting for an answer at that time, nothing else handles this rejection.
  ended.catch(() => undefined);
  return ended;
}
