import { measureForGate, type ExactGate } from '../../../core/adaptation/measurements/exact-gate.ts';
import { Measurements } from '../../../core/adaptation/measurements/measurements.ts';
import { decideRowFormat } from '../../../core/adaptation/setup/row-format.ts';
import { generateAnswers, longestCompletionOf } from '../../../core/data/evaluation/generated-answers.ts';
import { measure, textScore } from '../../../core/data/evaluation/measure.ts';
import type { TokenizedExample } from '../../../core/data/example.ts';
import { loadTaskRows, tokenizeTask, type TaskData } from '../../../core/data/task-data.ts';
import type { BaseCache, LoadedBase } from '../../../core/engine/base-cache.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { FIRST_LOOK } from '../../../core/method/gate/error-budget.ts';
import { judge, type Verdict } from '../../../core/method/gate/readiness-gate.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { isGenerated, type MetricName } from '../../../core/options/metrics.ts';

/** Number of rows that a look measured at a time before it was analysed in sequence. */
const ROWS_OF_A_PART = 32;

const SEARCH_ROWS = 16;

export interface LookOptions {
  readonly oldBase: string;
  readonly base: string;
  readonly adapter: string;
  readonly data: string;
  readonly validation: string;
  readonly metric: MetricName;
  /** Largest number of gate rows. */
  readonly rows: number;
  readonly margin: number;
  readonly rounds: number;
}

/** Seconds of the same measurement without and with what makes rows cheap. */
export interface Compared {
  readonly before: number;
  readonly now: number;
}

export interface LookRound {
  /** The adapter on its own base and all rows. */
  readonly old: Compared;
  /** The adapter on the new base: on all rows in parts before, and until the look ends now. */
  readonly look: Compared;
  readonly rows: number;
  readonly verdict: Verdict;
  /** Number of rows with different outcomes before and now, of those that both measured. */
  readonly different: number;
  /** Number of answers with a token of the draft's text that a step chose, because two were nearly tied. */
  readonly nearTies: number;
}

interface Subject {
  readonly data: TaskData;
  readonly metric: MetricName;
}

/**
 * Measures the first look of an adapter on a new base, as it was before looks were analysed in sequence and as it is
 * now, in turns. Before, all rows were measured in parts, and every answer was generated token by token to its end.
 */
export async function measureLooks(
  bases: BaseCache,
  options: LookOptions,
  log: (message: string) => void,
): Promise<LookRound[]> {
  const { metric, margin, rounds } = options;
  const { signal } = new AbortController();
  const [oldBase, newBase] = [await bases.load(options.oldBase), await bases.load(options.base)];
  const adapter = await loadAdapter(options.adapter, newBase.model.config);
  const data = await taskData(options, oldBase, adapter);
  const found: LookRound[] = [];
  // The first round warms up and is left out.
  for (let round = 0; round <= rounds; round++) {
    const measurements = new Measurements({ data, metric, maxNewTokens: 0, searchRows: SEARCH_ROWS, signal });
    const exact: ExactGate = { bases, measurements, gate: { metric, kind: 'relative', margin } };
    const oldBefore = await timed(() => inParts(oldBase, adapter, { data, metric }, data.gate.length));
    const old = await timed(() => measurements.onGate(oldBase, adapter));
    const before = await timed(() => inParts(newBase, adapter, { data, metric }, ROWS_OF_A_PART));
    const reference = old.result;
    const look = { reference, look: FIRST_LOOK };
    const now = await timed(() => measureForGate(exact, { base: newBase, adapter }, look));
    const { values } = now.result.outcomes;
    const { verdict } = judge(exact.gate, reference, now.result);
    const different = differences(oldBefore.result, reference.outcomes.values) + differences(before.result, values);
    const figures: LookRound = {
      old: { before: oldBefore.seconds, now: old.seconds },
      look: { before: before.seconds, now: now.seconds },
      rows: values.length,
      verdict,
      different,
      nearTies: measurements.nearTies,
    };
    log(`round ${round}: ${JSON.stringify(figures)}`);
    if (round > 0) found.push(figures);
  }
  return found;
}

async function taskData(
  { data, validation, rows, adapter: folder }: LookOptions,
  base: LoadedBase,
  adapter: Adapter,
): Promise<TaskData> {
  const task = await loadTaskRows({ train: data, validation });
  const limited = { ...task, gate: task.gate.slice(0, rows) };
  const { config } = base.model;
  const loadBase = () => Promise.resolve(base);
  const { signal } = new AbortController();
  const format = await decideRowFormat({ given: {}, folder, adapter, config, loadBase, rows: limited.search, signal });
  return tokenizeTask(limited, { tokenizer: base.tokenizer, config, ...format }, () => undefined);
}

/** Measures all rows in parts, each on its own, and without drafts. */
async function inParts(
  base: LoadedBase,
  adapter: Adapter,
  { data, metric }: Subject,
  rowsOfAPart: number,
): Promise<number[]> {
  const values: number[] = [];
  for (let start = 0; start < data.gate.length; start += rowsOfAPart) {
    values.push(...(await outcomes(base, adapter, data.gate.slice(start, start + rowsOfAPart), { data, metric })));
  }
  return values;
}

async function outcomes(
  base: LoadedBase,
  adapter: Adapter,
  rows: readonly TokenizedExample[],
  { data, metric }: Subject,
): Promise<ArrayLike<number> & Iterable<number>> {
  if (!isGenerated(metric)) return (await measure(base, adapter, rows, { metric, choices: data.choices })).perExample;
  const longestCompletion = longestCompletionOf(data.gate);
  const { texts } = await generateAnswers(base, adapter, rows, { longestCompletion });
  return texts.map(({ text, reference }) => textScore(metric, text, reference));
}

function differences(before: ArrayLike<number>, now: ArrayLike<number>): number {
  return Array.from(now).filter((value, row) => value !== before[row]).length;
}

async function timed<T>(run: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const begun = performance.now();
  const result = await run();
  return { result, seconds: (performance.now() - begun) / 1000 };
}
