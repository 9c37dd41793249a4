import type { Completion, Engine } from '../engines/engine.ts';

/** An engine that batches requests answers the same prompt with slightly other probabilities. An adapter changes more than twice that. */
const NOISE_FACTOR = 2;

/**
 * Whether an engine uses an adapter: it has to complete one of the prompts otherwise than the base model does, by its text or by the
 * probabilities of the tokens. An engine that has not loaded an adapter may answer with the base model and say nothing.
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

/** The largest difference of two log-probabilities; infinite if the texts differ. */
function distance(one: Completion, other: Completion): number {
  if (one.text !== other.text || one.logprobs.length !== other.logprobs.length) return Infinity;
  return one.logprobs.reduce((most, value, index) => Math.max(most, Math.abs(value - other.logprobs[index]!)), 0);
}
