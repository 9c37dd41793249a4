/** The thread of `withWeightThread`: it answers each name of a tensor with the tensor. */
import { parentPort, workerData } from 'node:worker_threads';
import { openModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { streamed } from './streamed-weights.ts';
import type { ThreadAnswer } from './weight-thread-source.ts';

const opening = openModelWeights(workerData as string).then((model) => ({ model, source: streamed(model) }));
// Whoever asks for a tensor gets the error.
opening.catch(() => undefined);

parentPort!.on('message', (name: string) => {
  void read(name).then(
    (answer) => parentPort!.postMessage(answer, [answer.tensor.data.buffer as ArrayBuffer]),
    (error: unknown) => parentPort!.postMessage({ failure: String(error) } satisfies ThreadAnswer),
  );
});

let count = 0;

async function read(name: string): Promise<Extract<ThreadAnswer, { tensor: unknown }>> {
  const { model, source } = await opening;
  const tensor = await source.readWeight(name);
  const isLast = ++count === model.names.length;
  return { tensor, fingerprint: isLast ? source.fingerprint : null };
}
