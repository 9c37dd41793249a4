import type { Completion, Engine } from '../engines/engine.ts';

/**
 * Factor by which an adapter has to change log-probabilities more than repeated requests do. Repeated requests differ
 * because engines compute requests in varying batches.
 */
const NOISE_FACTOR = 2;

/**
 * Whether an engine uses an adapter: the completion of at least one prompt has to differ from the base model's, in its
 * text or in the probabilities of its tokens. An engine that has not loaded an adapter may silently answer with the
 * base model.
 * @throws EngineError
 */
export async function changesSomething(
  engine: Pick<Engine, 'complete'>,
  name: string,
  prompts: readonly string[],
): Promise<boolean> {
  for (const prompt of prompts) {
    const base = await engine.complete(prompt, null);
    const difference = distance(base, await engine.complete(prompt, name));
    if (difference === 0) continue;
    const noise = distance(base, await engine.complete(prompt, null));
    if (difference > NOISE_FACTOR * noise) return true;
  }
  return false;
}

/**
 * Computes the largest difference between the log-probabilities of two completions; infinite if the completions differ
 * in text or length.
 */
function distance(one: Completion, other: Completion): number {
  if (one.text !== other.text || one.logprobs.length !== other.logprobs.length) return Infinity;
  return one.logprobs.reduce((most, value, index) => Math.max(most, Math.abs(value - other.logprobs[index]!)), 0);
}
