import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { ChoiceSet } from '../choices.ts';
import { exampleOf, type TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';

export interface Ranking {
  /** Index of each example's choice with the highest summed log-probability; the first of equal ones. */
  readonly ranked: readonly number[];
  /** Number of input tokens that went through the model. */
  readonly tokens: number;
}

export interface RankingOptions extends EvaluationOptions {
  readonly choices: ChoiceSet;
}

/** An own choice with more tokens goes along with the first pass only by its first token, to save memory for logits. */
const MAX_FED_TOKENS = 4;

/** The log-probability of one choice of an example: exact, or that of its first token, which is an upper bound. */
interface Score {
  readonly example: TokenizedExample;
  /** Index of the choice. */
  readonly choice: number;
  /** The tokens that all choices of the example begin with. */
  readonly shared: readonly number[];
  /** The tokens of this choice behind the shared ones. */
  readonly rest: readonly number[];
  value: number;
  exact: boolean;
}

/** An example with its choices. As an example, its labels are the tokens that go along with the first pass. */
interface Contest extends TokenizedExample {
  readonly example: TokenizedExample;
  /** Index of the example's own choice. */
  readonly own: number;
  /** The tokens of the example's own choice that go along with the first pass. */
  readonly fed: readonly number[];
  /** One score for each choice; empty before the first pass. */
  scores: readonly Score[];
}

/**
 * Finds the most probable choice of each example, by branch and bound. The tokens that all choices begin with are fed
 * along with the prompt, since they add the same to every score. One pass gives the log-probability of every choice's
 * first token: exact for a choice of one token, an upper bound for a longer one. The example's own choice usually leads,
 * so that pass feeds all of it, and its score is exact at once. As long as the leading choice of an example has only a
 * bound, one more row completes its score. A choice whose bound is below an exact score is never completed.
 */
export async function rankChoices(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: RankingOptions,
): Promise<Ranking> {
  const contests = examples.map((example) => toContest(example, options.choices));
  let tokens = await scoreFirstTokens(runtime, adapter, contests, options);
  for (;;) {
    const leaders = contests.map(({ scores }) => scores.reduce((best, one) => (one.value > best.value ? one : best)));
    const open = leaders.filter(({ exact }) => !exact);
    if (open.length === 0) return { ranked: leaders.map(({ choice }) => choice), tokens };
    tokens += await completeScores(runtime, adapter, open, options);
  }
}

function toContest(example: TokenizedExample, choices: ChoiceSet): Contest {
  const own = choices.indexOf(example.row);
  const { shared, rests } = choices.tokensOf(example.row);
  const rest = rests[own] ?? [];
  const fed = rest.length <= MAX_FED_TOKENS ? rest : rest.slice(0, 1);
  return { ...exampleOf(shared, fed, example.row), example, own, fed, scores: [] };
}

/** Scores the first token of every choice, and the whole of each example's own choice unless it is too long. */
function scoreFirstTokens(
  runtime: Runtime,
  adapter: Adapter | null,
  contests: readonly Contest[],
  { choices, ...options }: RankingOptions,
): Promise<number> {
  return forEachBatch(runtime, contests, options, async ({ batch, members }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    for (const { example: contest, start } of members) {
      const { example, own, fed } = contest;
      const { shared, rests } = choices.tokensOf(example.row);
      const at = fed.map((_, i) => logProbabilities(logits.subarray((start + i) * vocab, (start + i + 1) * vocab)));
      contest.scores = rests.map((rest, choice) => {
        const known = choice === own ? fed : rest.slice(0, 1);
        const value = known.reduce((sum, token, i) => sum + at[i]!(token), 0);
        return { example, choice, shared, rest, value, exact: known.length === rest.length };
      });
    }
  });
}

/** Adds the log-probabilities of the tokens behind the first one. */
function completeScores(
  runtime: Runtime,
  adapter: Adapter | null,
  open: readonly Score[],
  options: RankingOptions,
): Promise<number> {
  const rows = open.map((score) => {
    const { example, shared, rest } = score;
    return { ...exampleOf([...shared, ...rest.slice(0, 1)], rest.slice(1), example.row), score };
  });
  return forEachBatch(runtime, rows, options, async ({ batch, members }) => {
    const losses = await runtime.labelLosses(adapter, batch);
    for (const { example, start, end } of members) {
      example.score.value -= losses.subarray(start, end).reduce((total, loss) => total + loss, 0);
      example.score.exact = true;
    }
  });
}

/** Returns a function that gives the log-probability of a token, from the logits [vocab] at one position. */
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
