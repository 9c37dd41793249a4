import { labelLimit } from '../../data/batching.ts';
import { forEachBatch, type EvaluationOptions } from '../../data/evaluation/forward-passes.ts';
import { labelTokens, type TokenizedExample } from '../../data/example.ts';
import type { LabelTargets, Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';

/** Number of a teacher's tokens that are learned at each label. */
export const TEACHER_TOKENS = 8;

/** Number of targets of each label: the teacher's tokens, and the label's own. */
export const SOFT_TARGETS = TEACHER_TOKENS + 1;

/** Some labels of an example, as an example. */
interface Part extends TokenizedExample {
  /** Index of the example. */
  readonly of: number;
  /** Index of the first of these labels among those of the example. */
  readonly first: number;
}

/**
 * Lets a teacher predict each label of the examples: its most probable tokens, at most {@link TEACHER_TOKENS}, whose
 * probabilities are scaled to add up to 1. It reads the row's own completion up to the label (word-level distillation: Kim and
 * Rush 2016, arXiv 1606.07947, section 3.1).
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

/** Divides the labels of an example into parts of so many, whose logits fit into memory. */
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

/** The tokens of the largest logits, and their probabilities among themselves. Of equal logits, those of lower ids come first. */
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

/**
 * Lets an example teach a mixture: at each label its own token with a share of 1 − weight, and the teacher's tokens with
 * weight times their probabilities. Cross-entropy is linear in its targets, so that its loss is the weighted sum
 * (1 − weight) · CE(own) + weight · CE(teacher) (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, section 2, at a temperature
 * of 1).
 * @param teacher what {@link teacherTokens} returned for the example
 */
export function withTeacherTokens(example: TokenizedExample, teacher: LabelTargets, weight: number): TokenizedExample {
  const own = labelTokens(example);
  const perLabel = teacher.perLabel + 1;
  const [ids, shares] = [new Int32Array(perLabel * own.length), new Float32Array(perLabel * own.length)];
  for (const [label, id] of own.entries()) {
    const [from, to, at] = [label * teacher.perLabel, (label + 1) * teacher.perLabel, label * perLabel];
    ids.set([id, ...teacher.ids.subarray(from, to)], at);
    shares.set([1 - weight, ...teacher.shares.subarray(from, to).map((share) => weight * share)], at);
  }
  return { ...example, targets: { perLabel, ids, shares } };
}
