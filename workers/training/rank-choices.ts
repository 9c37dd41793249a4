import type { Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/adapter.ts';
import { sumByExample } from './batching.ts';
import type { ChoiceSet } from './choices.ts';
import type { TokenizedExample } from './example.ts';
import { argmax, forEachBatch, type EvaluationOptions } from './forward-passes.ts';

export interface Ranking {
  /** By example: position of the choice with the highest summed log-probability, the first of equal ones. */
  readonly ranked: readonly number[];
  /** Real input tokens that went through the model. */
  readonly tokens: number;
}

/** A choice's log-probability: exact, or that of its first token, which the whole cannot exceed. */
interface Score {
  value: number;
  exact: boolean;
}

interface Scoring {
  readonly runtime: Runtime;
  readonly adapter: Adapter | null;
  readonly examples: readonly TokenizedExample[];
  readonly choices: ChoiceSet;
  readonly options: EvaluationOptions;
}

/**
 * The most probable choice of each example, by branch and bound. What all choices begin with is fed along with the
 * prompt, since it adds the same to each. One pass gives the log-probability of every choice's first token: exact for
 * choices of one token, an upper bound for longer ones. While an example's leading choice is only bounded, one more
 * row completes it; a choice whose bound is below an exact score is never completed.
 */
export async function rankChoices(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { choices, ...options }: EvaluationOptions & { readonly choices: ChoiceSet },
): Promise<Ranking> {
  const scoring: Scoring = { runtime, adapter, examples, choices, options };
  const { scores, tokens: firstTokens } = await scoreFirstTokens(scoring);
  let tokens = firstTokens;
  for (;;) {
    const leaders = scores.map((list) => argmax(list.map(({ value }) => value)));
    const open = leaders.flatMap((choice, example) => (scores[example]![choice]!.exact ? [] : [{ example, choice }]));
    if (open.length === 0) return { ranked: leaders, tokens };
    tokens += await complete(scoring, open, scores);
  }
}

async function scoreFirstTokens({ runtime, adapter, examples, choices, options }: Scoring) {
  const { prefix, suffixes } = choices;
  const rows = examples.map((example) => continued(example, prefix, suffixes[0]!.slice(0, 1)));
  const scores: Score[][] = examples.map(() => []);
  const tokens = await forEachBatch(rows, options, async ({ examples: members, batch }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    members.forEach((example, row) => {
      const of = logits.subarray(row * vocab, (row + 1) * vocab);
      const normaliser = logSumExp(of);
      scores[example] = suffixes.map((ids) => ({ value: of[ids[0]!]! - normaliser, exact: ids.length === 1 }));
    });
  });
  return { scores, tokens };
}

/** Adds the log-probabilities of what follows the first token. */
async function complete(
  { runtime, adapter, examples, choices, options }: Scoring,
  open: readonly { readonly example: number; readonly choice: number }[],
  scores: readonly Score[][],
): Promise<number> {
  const rows = open.map(({ example, choice }) => {
    const suffix = choices.suffixes[choice]!;
    return continued(examples[example]!, [...choices.prefix, suffix[0]!], suffix.slice(1));
  });
  return forEachBatch(rows, options, async (group) => {
    const losses = sumByExample(group, await runtime.labelLosses(adapter, group.batch));
    group.examples.forEach((index, row) => {
      const { example, choice } = open[index]!;
      const score = scores[example]![choice]!;
      score.value -= losses[row]!;
      score.exact = true;
    });
  });
}

function continued(
  { promptIds, row }: TokenizedExample,
  fed: readonly number[],
  completionIds: readonly number[],
): TokenizedExample {
  return { promptIds: [...promptIds, ...fed], completionIds, row };
}

function logSumExp(values: Float32Array): number {
  let largest = -Infinity;
  for (const value of values) if (value > largest) largest = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - largest);
  return largest + Math.log(sum);
}
