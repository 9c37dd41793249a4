import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { inputLength } from '../batching.ts';
import type { ChoiceSet } from '../choices.ts';
import type { TokenizedVariants } from '../tokenize.ts';
import { exampleOf, type TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';

export interface Ranking {
  /**
   * Index of the most probable choice of each example, by summed log-probability of its tokens; the first of equal
   * ones.
   */
  readonly ranked: readonly number[];
  /** Number of input tokens that went through the model. */
  readonly tokens: number;
}

export interface RankingOptions extends EvaluationOptions {
  readonly choices: ChoiceSet;
}

/**
 * Largest number of tokens of an example's own choice for which the first pass computes all of them. Of a longer one,
 * the first pass computes only the first token, which saves memory for logits.
 */
const MAX_FED_TOKENS = 4;

/**
 * Largest ratio of the tokens that all choices add to the tokens they share, for which all choices may be scored at
 * once.
 */
const SHARE_AT_ONCE = 1 / 4;

/**
 * Interval between sampled examples. One example in every `SAMPLED` is ranked first, to see how often an example's own
 * choice has the highest score.
 */
const SAMPLED = 8;

/** Smallest number of examples for which a sample is ranked first. */
const FEWEST_TO_SAMPLE = 64;

/**
 * Largest share of examples whose own choice does not have the highest score after the first pass, for which the other
 * choices are still completed one by one. Above this share, it is faster to score all choices at once. Measured with
 * SmolLM2-135M on AG News: scoring all at once took 1.4 times as long as the first pass alone, and completing all other
 * choices one by one took 2.6 times as long.
 */
const OFTEN_BEHIND = 0.3;

/**
 * Log-probability of one choice of an example: either exact, or that of its first token alone, which is an upper bound.
 */
interface Score {
  readonly example: TokenizedExample;
  /** Index of this choice among all choices. */
  readonly choice: number;
  /**
   * Tokens with which the example begins whichever choice follows: its prompt, and any beginning that all choices have
   * in common.
   */
  readonly shared: readonly number[];
  /** Tokens of this choice after the shared ones. */
  readonly rest: readonly number[];
  value: number;
  exact: boolean;
}

/**
 * Example with all its choices, which are being ranked. Its labels are the tokens of its own choice that the first pass
 * computes.
 */
interface Contest extends TokenizedExample {
  readonly example: TokenizedExample;
  /** Index of the example's own completion among the choices. */
  readonly own: number;
  /** Tokens of the example's own choice that the first pass computes: all of a short one, the first of a long one. */
  readonly fed: readonly number[];
  /** Scores of all choices; empty before the first pass. */
  scores: readonly Score[];
}

/**
 * Finds the most probable choice of each example. Choices are compared by branch and bound, which is fast if the
 * example's own choice is the most probable one. If the choices are short, a sample of the examples shows how often
 * that is the case. If it seldom is, as without an adapter, all choices of the remaining examples are scored at once.
 * Tokens that all choices begin with count as part of the prompt, since they add the same to every score.
 */
export async function rankChoices(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: RankingOptions,
): Promise<Ranking> {
  if (examples.length < FEWEST_TO_SAMPLE || !isCheapAtOnce(examples, options.choices)) {
    return branchAndBound(runtime, adapter, examples, options);
  }
  const sampled = await branchAndBound(
    runtime,
    adapter,
    examples.filter((_, i) => i % SAMPLED === 0),
    options,
  );
  const rank = sampled.behind > OFTEN_BEHIND ? rankAtOnce : branchAndBound;
  const others = await rank(
    runtime,
    adapter,
    examples.filter((_, i) => i % SAMPLED !== 0),
    options,
  );
  const [first, second] = [sampled.ranked.values(), others.ranked.values()];
  const ranked = examples.map((_, i) => (i % SAMPLED === 0 ? first : second).next().value!);
  return { ranked, tokens: sampled.tokens + others.tokens };
}

/**
 * Whether scoring all choices of the examples at once adds some tokens, but few in proportion to those that the choices
 * share.
 */
function isCheapAtOnce(examples: readonly TokenizedExample[], choices: ChoiceSet): boolean {
  let [added, shared] = [0, 0];
  for (const { row } of examples) {
    const tokens = choices.tokensOf(row);
    added += addedTokens(tokens);
    shared += tokens.shared.length;
  }
  return added > 0 && added <= SHARE_AT_ONCE * shared;
}

/**
 * Returns the number of input tokens that an example's choices have beyond the shared ones, without the last token of
 * each, which is only predicted.
 */
function addedTokens({ rests }: TokenizedVariants): number {
  return rests.reduce((sum, rest) => sum + Math.max(0, rest.length - 1), 0);
}

/**
 * Scores every choice of every example as a row of its own. Rows of one example share the tokens that they begin with.
 */
async function rankAtOnce(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { choices, ...options }: RankingOptions,
): Promise<Ranking> {
  const contests = examples.map(({ row }) => ({ row, ...choices.tokensOf(row) }));
  const scores = contests.map(({ rests }) => new Float64Array(rests.length));
  const rows = contests.flatMap(({ shared, rests, row }, contest) =>
    rests.flatMap((rest, choice) => (rest.length > 0 ? [{ ...exampleOf(shared, rest, row), contest, choice }] : [])),
  );
  const through = contests.reduce((sum, contest) => sum + contest.shared.length + addedTokens(contest), 0);
  const repeated = rows.reduce((sum, row) => sum + inputLength(row), 0) / through;
  const grouped = { ...options, repeated, sortBy: ({ labelSpans }: TokenizedExample) => labelSpans[0]![0] };
  const tokens = await forEachBatch(runtime, rows, grouped, async ({ batch, members }) => {
    const losses = await runtime.labelLosses(adapter, batch);
    for (const { example: row, start, end } of members) {
      scores[row.contest]![row.choice] = -losses.subarray(start, end).reduce((total, loss) => total + loss, 0);
    }
  });
  return { ranked: scores.map(firstLargest), tokens };
}

function firstLargest(values: Float64Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}

interface BoundedRanking extends Ranking {
  /** Share of examples whose own choice did not have the highest score after the first pass. */
  readonly behind: number;
}

/**
 * Ranks by bounds. One pass gives the log-probability of every choice's first token: exact for a choice of one token,
 * an upper bound for a longer one. The example's own choice usually leads, so that pass feeds all of it, and its score
 * is exact at once. If the leading choice has only a bound, one more row completes its score; if another one then
 * leads, rows complete all choices that can still win. A choice whose bound is below an exact score is never completed.
 */
async function branchAndBound(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: RankingOptions,
): Promise<BoundedRanking> {
  const contests = examples.map((example) => toContest(example, options.choices));
  let tokens = await scoreFirstTokens(runtime, adapter, contests, options);
  let behind = 0;
  for (let pass = 1; ; pass++) {
    const leaders = contests.map(({ scores }) => scores.reduce((best, one) => (one.value > best.value ? one : best)));
    const bounded = leaders.filter(({ exact }) => !exact);
    if (bounded.length === 0) return { ranked: leaders.map(({ choice }) => choice), tokens, behind };
    if (pass === 1) behind = bounded.length / contests.length;
    const open = pass === 1 ? bounded : contests.flatMap(contenders);
    tokens += await completeScores(runtime, adapter, open, options);
  }
}

/**
 * Returns the choices that might still turn out the most probable: their score is only an upper bound, and it is not
 * below any exact score.
 */
function contenders({ scores }: Contest): Score[] {
  const known = Math.max(...scores.map(({ exact, value }) => (exact ? value : -Infinity)));
  return scores.filter(({ exact, value }) => !exact && value >= known);
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

/** Completes scores by the log-probabilities of the tokens after the first one. */
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

/** Returns a function from a token's id to its log-probability, given the logits [vocab] at one position. */
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
