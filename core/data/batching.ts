import type { Batch, LabelTargets, Runtime } from '../engine/runtime.ts';
import { labelCount, labelTokens, type TokenizedExample } from './example.ts';

/**
 * Example in a batch, with the range of its labels among the labels of the batch: from `start` up to, but not
 * including, `end`.
 */
export interface BatchMember<Example extends TokenizedExample> {
  readonly example: Example;
  /** Index of the example in the list that was cut into batches. */
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/** Batch for one pass, with the examples that it was made of, in the same order. */
export interface ExampleBatch<Example extends TokenizedExample> {
  readonly batch: Batch;
  readonly members: readonly BatchMember<Example>[];
}

/** Largest sizes of a batch for one pass through the model. */
export interface BatchLimits {
  /** Largest number of input tokens. */
  readonly maxTokens: number;
  /**
   * Largest number of labels. At each label, the model computes logits over the whole vocabulary. Default: no limit.
   */
  readonly maxLabels?: number;
  /** Largest number of examples. Default: no limit. */
  readonly maxExamples?: number;
}

/**
 * Returns the largest number of labels in a batch whose logits fit into the memory budget of the runtime's device; at
 * least one.
 */
export function labelLimit({ base, tokenBudgets }: Pick<Runtime, 'base' | 'tokenBudgets'>): number {
  return Math.max(1, Math.floor(tokenBudgets.logits / base.config.vocabSize));
}

/** Returns the number of input tokens of an example: all but the last, since no label follows that one. */
export function inputLength(example: TokenizedExample): number {
  return example.tokenIds.length - 1;
}

/**
 * Concatenates examples to a batch. The last token of each is only predicted, so it is not an input. The label
 * positions are those whose next token is a label, in order.
 * @throws RangeError if an example has no label, or a label without a token in front to predict it from
 */
export function makeBatch(examples: readonly TokenizedExample[]): Batch {
  const total = (count: (example: TokenizedExample) => number) => examples.reduce((sum, each) => sum + count(each), 0);
  const labels = total(labelCount);
  const batch = {
    inputIds: new Int32Array(total(inputLength)),
    sequenceLengths: Int32Array.from(examples, inputLength),
    textLengths: Int32Array.from(examples, (example) => inputLength(example) + 1),
    labelPositions: new Int32Array(labels),
    labelIds: new Int32Array(labels),
  };
  let [start, label] = [0, 0];
  for (const example of examples) {
    const { tokenIds, labelSpans } = example;
    if (labelSpans[0]?.[0] === 0) throw new RangeError('the prompt has no tokens, expected at least one');
    if (labelCount(example) === 0) throw new RangeError('the completion has no tokens, expected at least one');
    batch.inputIds.set(tokenIds.slice(0, -1), start);
    for (const [from, to] of labelSpans) {
      for (let at = from; at < to; at++, label++) {
        batch.labelPositions[label] = start + at - 1;
        batch.labelIds[label] = tokenIds[at]!;
      }
    }
    start += inputLength(example);
  }
  const targets = joinTargets(examples);
  return targets ? { ...batch, targets } : batch;
}

/**
 * Joins the soft targets of all labels of a batch; null if no example has any. A label with fewer targets than others
 * is padded with its first target at a share of 0.
 */
function joinTargets(examples: readonly TokenizedExample[]): LabelTargets | null {
  const perLabel = examples.reduce((most, { targets }) => Math.max(most, targets?.perLabel ?? 0), 0);
  if (perLabel === 0) return null;
  const labels = examples.reduce((sum, example) => sum + labelCount(example), 0);
  const ids = new Int32Array(perLabel * labels);
  const shares = new Float32Array(perLabel * labels);
  let at = 0;
  for (const example of examples) {
    const own = example.targets ?? ownTargets(example);
    for (let label = 0; label < labelCount(example); label++, at += perLabel) {
      const [from, to] = [label * own.perLabel, (label + 1) * own.perLabel];
      ids.fill(own.ids[from]!, at, at + perLabel).set(own.ids.subarray(from, to), at);
      shares.set(own.shares.subarray(from, to), at);
    }
  }
  return { perLabel, ids, shares };
}

/** Returns targets in which the own token of each label is its only target. */
function ownTargets(example: TokenizedExample): LabelTargets {
  const ids = Int32Array.from(labelTokens(example));
  return { perLabel: 1, ids, shares: new Float32Array(ids.length).fill(1) };
}

/**
 * Cuts a list of examples, in order, into runs of consecutive examples that keep within the limits. An example that
 * exceeds a limit by itself becomes a run of its own.
 */
export function cutIntoRuns<Example extends TokenizedExample>(
  examples: readonly Example[],
  { maxTokens, maxLabels = Infinity, maxExamples = Infinity }: BatchLimits,
): Example[][] {
  const runs: Example[][] = [];
  let [tokensLeft, labelsLeft] = [0, 0];
  for (const example of examples) {
    const [tokens, labels] = [inputLength(example), labelCount(example)];
    const run = runs.at(-1);
    if (run && tokens <= tokensLeft && labels <= labelsLeft && run.length < maxExamples) run.push(example);
    else {
      runs.push([example]);
      [tokensLeft, labelsLeft] = [maxTokens, maxLabels];
    }
    tokensLeft -= tokens;
    labelsLeft -= labels;
  }
  return runs;
}

/**
 * Cuts a list of examples into as many runs of consecutive examples as {@link cutIntoRuns} does, but of nearly equal
 * size: the token limit is lowered as far as that number of runs allows. Otherwise a last run of a few tokens could
 * cost almost as much as a full one.
 */
export function cutEvenly<Example extends TokenizedExample>(
  examples: readonly Example[],
  limits: BatchLimits,
): Example[][] {
  const count = cutIntoRuns(examples, limits).length;
  let [low, high] = [1, limits.maxTokens];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cutIntoRuns(examples, { ...limits, maxTokens: middle }).length > count) low = middle + 1;
    else high = middle;
  }
  return cutIntoRuns(examples, { ...limits, maxTokens: low });
}

/**
 * Makes batches for evaluation, in which every example occurs once. The examples are sorted by length (or by `sortBy`),
 * longest first, so that attention wastes little on sequences of unequal lengths and memory use peaks at the start.
 */
export function sortIntoBatches<Example extends TokenizedExample>(
  examples: readonly Example[],
  limits: BatchLimits,
  sortBy: (example: Example) => number = inputLength,
): ExampleBatch<Example>[] {
  const indexed = examples.map((example, index) => ({ ...example, example, index }));
  indexed.sort((a, b) => sortBy(b.example) - sortBy(a.example));
  return cutIntoRuns(indexed, limits).map((run) => {
    let end = 0;
    const members = run.map(({ example, index }) => {
      const start = end;
      end += labelCount(example);
      return { example, index, start, end };
    });
    return { batch: makeBatch(run), members };
  });
}
