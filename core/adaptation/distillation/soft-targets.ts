import { labelLimit } from '../../data/batching.ts';
import { forEachBatch, type EvaluationOptions } from '../../data/evaluation/forward-passes.ts';
import { labelTokens, type TokenizedExample } from '../../data/example.ts';
import type { LabelTargets, Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/** Number of the teacher's most probable tokens that training learns at each label. */
export const TEACHER_TOKENS = 8;

/**
 * Part of an example: its tokens up to the last of some consecutive labels, and only these labels, so that the logits
 * at these labels fit into memory.
 */
interface Part extends TokenizedExample {
  /** Index of the whole example in the list of examples. */
  readonly of: number;
  /** Number of labels of the whole example that belong to earlier parts. */
  readonly first: number;
}

/**
 * Computes a teacher's prediction at each label of the examples: the most probable tokens, at most {@link
 * TEACHER_TOKENS}, with probabilities scaled to add up to 1. The teacher reads the row's own completion up to the label
 * (word-level distillation: Kim and Rush 2016, arXiv 1606.07947, section 3.1). If training learns these probabilities
 * q, the loss of a label is −Σ q ln p, which is Hinton's loss at a temperature of 1.
 * @returns the targets of each example's labels, in the order of the examples
 */
export async function teacherTokens(
  runtime: Runtime,
  teacher: Adapter,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions,
): Promise<LabelTargets[]> {
  const perLabel = Math.min(TEACHER_TOKENS, runtime.base.config.vocabSize);
  const found = examples.map((example) => {
    const size = perLabel * labelTokens(example).length;
    return { perLabel, ids: new Int32Array(size), shares: new Float32Array(size) };
  });
  const parts = examples.flatMap((example, of) => partsOf(example, of, labelLimit(runtime)));
  await forEachBatch(runtime, parts, options, async ({ batch, members }) => {
    const logits = await runtime.logits(teacher, batch);
    const vocab = logits.length / batch.labelPositions.length;
    for (const { example, start, end } of members) {
      for (let label = start; label < end; label++) {
        const likely = mostProbable(logits.subarray(label * vocab, (label + 1) * vocab), perLabel);
        const at = perLabel * (example.first + label - start);
        found[example.of]!.ids.set(likely.ids, at);
        found[example.of]!.shares.set(likely.probabilities, at);
      }
    }
  });
  return found;
}

/**
 * Divides the labels of an example into parts of at most `most` labels, so that the logits of a part fit into memory.
 */
function partsOf(example: TokenizedExample, of: number, most: number): Part[] {
  let first = 0;
  return example.labelSpans.flatMap(([start, end]) => {
    const parts: Part[] = [];
    for (let from = start; from < end; from += most) {
      const to = Math.min(end, from + most);
      parts.push({ tokenIds: example.tokenIds.slice(0, to), labelSpans: [[from, to]], row: example.row, of, first });
      first += to - from;
    }
    return parts;
  });
}

/**
 * Returns the ids of the `count` tokens with the largest logits, and their probabilities, scaled to add up to 1. Of
 * tokens with equal logits, those with lower ids come first.
 */
function mostProbable(logits: Float32Array, count: number): { ids: number[]; probabilities: number[] } {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    let place = ids.length;
    while (place > 0 && logits[id]! > logits[ids[place - 1]!]!) place--;
    if (place === count) continue;
    ids.splice(place, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  const powers = ids.map((id) => Math.exp(logits[id]! - logits[ids[0]!]!));
  const sum = powers.reduce((total, power) => total + power, 0);
  return { ids, probabilities: powers.map((power) => power / sum) };
}
