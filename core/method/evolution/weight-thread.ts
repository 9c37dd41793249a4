/**
 * Entry point of the thread that `withWeightThread` starts. Each message is the name of a tensor, which the thread
 * reads into the shared memory.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { streamed } from './streamed-weights.ts';
import type { ThreadAnswer, ThreadData } from './weight-thread-source.ts';

const { folder, memory, verified } = workerData as ThreadData;
const opening = openModelWeights(folder).then((model) => ({ model, source: streamed(model, verified) }));
// The first request for a tensor reports the error.
opening.catch(() => undefined);

parentPort!.on('message', (name: string) => {
  void read(name)
    .catch((error: unknown): ThreadAnswer => ({ failure: String(error) }))
    .then((answer) => parentPort!.postMessage(answer));
});

let count = 0;

async function read(name: string): Promise<ThreadAnswer> {
  const { model, source } = await opening;
  const { shape, data } = await source.readWeight(name, new Float32Array(memory));
  const isLast = ++count === model.names.length;
  return { shape, length: data.length, fingerprint: isLast ? source.fingerprint : null };
}
