import type { Worker } from 'node:worker_threads';
import type { ModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { modulePath, startThread } from '../../installation/child-module.ts';
import type { WeightSource } from './weight-source.ts';

/** Data with which the thread that reads a base's weights is started. */
export interface ThreadData {
  readonly folder: string;
  /** Shared memory that every tensor is read into; as long as the base's largest tensor. */
  readonly memory: SharedArrayBuffer;
  /** Fingerprint of the base's files if they were verified before; null otherwise. */
  readonly verified: string | null;
}

/** Answer of the reading thread to the request for a tensor: its shape and length, or a failure. */
export type ThreadAnswer =
  | {
      readonly shape: readonly number[];
      /** Number of float32 values of the tensor, which lie at the beginning of the shared memory. */
      readonly length: number;
      /** Fingerprint of the base; null for every tensor but the last. */
      readonly fingerprint: string | null;
    }
  | { readonly failure: string };

/**
 * Starts a thread that reads and checks the weights of a base, and hashes them unless they were verified before. Calls
 * `use` with a source of these weights, and then ends the thread. Every tensor must be read once, in the order of the
 * names, as with `streamed`. All tensors are read into one memory that both threads share: moving memory between
 * threads, or allocating it for each tensor, costs more time in garbage collections.
 * @param model weights of the same folder, as this thread has opened them
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

/** Returns the number of values of each of a base's tensors. */
export function countsOf(model: ModelWeights): number[] {
  return model.names.map((name) => model.shape(name).reduce((product, size) => product * size, 1));
}

/**
 * Returns a promise that is rejected when the thread ends. Unless the caller ends the thread, it ends only after an
 * error.
 */
function endOf(thread: Worker, folder: string): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread that reads ${folder} ended with code ${code}`)));
  });
  // If no request is waiting for an answer at that time, nothing else handles this rejection.
  ended.catch(() => undefined);
  return ended;
}
