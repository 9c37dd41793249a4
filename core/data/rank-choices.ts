import type { Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { sumByExample } from './batching.ts';
import type { ChoiceSet } from './choices.ts';
import type { TokenizedExample } from './example.ts';
import { argmax, forEachBatch, type EvaluationOptions } from './forward-passes.ts';

export interface Ranking {
  /** By example: position of the choice with the highest summed log-probability, the first of equal ones. */
  readonly ranked: readonly number[];
  /** Input tokens that went through the model. */
  readonly tokens: number;
}

/** Completions up to this length go along with the first pass; the logits of a longer one would need much memory. */
const MAX_FED_TOKENS = 4;

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
 * choices of one token, an upper bound for longer ones. The example's own choice, which mostly leads, is fed whole, so
 * that its score is exact at once. While an example's leading choice is only bounded, one more row completes it; a
 * choice whose bound is below an exact score is never completed.
 */
export async function rankChoices(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { choices, ...options }: EvaluationOptions & { readonly choices: ChoiceSet },
): Promise<Ranking> {
  const scoring: Scoring = { runtime, adapter, examples, choices, options };
  const { scores, tokens: firstTokens } = await scoreFirstPass(scoring);
  let tokens = firstTokens;
  for (;;) {
    const leaders = scores.map((list) => argmax(list.map(({ value }) => value)));
    const open = leaders.flatMap((choice, example) => (scores[example]![choice]!.exact ? [] : [{ example, choice }]));
    if (open.length === 0) return { ranked: leaders, tokens };
    tokens += await complete(scoring, open, scores);
  }
}

/** Every choice's first token, and the whole of each example's own choice. */
async function scoreFirstPass({ runtime, adapter, examples, choices, options }: Scoring) {
  const { prefix, suffixes } = choices;
  const own = examples.map(({ row }) => choices.indexOf(row));
  const rows = examples.map((example, i) => {
    const suffix = suffixes[own[i]!]!;
    return continued(example, prefix, suffix.length <= MAX_FED_TOKENS ? suffix : suffix.slice(0, 1));
  });
  const scores: Score[][] = examples.map(() => []);
  const tokens = await forEachBatch(runtime, rows, options, async ({ examples: members, batch }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    let label = 0;
    for (const example of members) {
      const fed = rows[example]!.completionIds;
      const [first, ...rest] = fed.map(() => logProbabilities(logits.subarray(label * vocab, ++label * vocab)));
      scores[example] = suffixes.map((ids) => ({ value: first!(ids[0]!), exact: ids.length === 1 }));
      if (rest.length === 0) continue;
      const value = rest.reduce((sum, at, i) => sum + at(fed[i + 1]!), first!(fed[0]!));
      scores[example][own[example]!] = { value, exact: true };
    }
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
  return forEachBatch(runtime, rows, options, async (group) => {
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

/** The log-probability of any token at one position. */
function logProbabilities(logits: Float32Array): (token: number) => number {
  const normalizer = logSumExp(logits);
  return (token) => logits[token]! - normalizer;
}

function logSumExp(values: Float32Array): number {
  let largest = -Infinity;
  for (const value of values) if (value > largest) largest = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - largest);
  return largest + Math.log(sum);
}
