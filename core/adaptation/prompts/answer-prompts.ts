import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { GivenRow } from '../../data/dataset.ts';
import { withPlaceholder } from '../../data/open-prompts.ts';
import { promptTokens, type ExampleRow, type TokenizedExample } from '../../data/example.ts';
import { tokenizeWithin } from '../../data/row-budget.ts';
import { samplingWarning, TaskDataError, type GivenTask, type TaskRows } from '../../data/task-data.ts';
import { lengthLimit, rowPlace, tokenizeRows, type TokenizeOptions } from '../../data/tokenize.ts';
import { textScore } from '../../data/evaluation/measure.ts';
import { generateTexts } from '../../engine/generation/generate-texts.ts';
import type { TextSizes } from '../../engine/generation/greedy.ts';
import { withAnswer, type DatasetSplit } from '../../formats/dataset/dataset-row.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import { isGenerated, type MetricName } from '../../options/metrics.ts';
import { drawnExamples } from '../../training/training-sampler.ts';
import { labelInParts } from '../distillation/label-store.ts';
import type { JobSpec } from '../job-spec.ts';
import { WATCHED_ROWS } from '../measurements/measurements.ts';
import { isTrained } from '../setup/job-setup.ts';
import { writerName, type Writer } from './writer.ts';

/** Largest number of tokens of an answer to a prompt alone, unless the job's options set another. */
const ANSWER_TOKENS = 128;

/** Largest share of answers to gate prompts in which the metric may find no word to count. */
const MOST_UNCOUNTED = 0.1;

/** Largest number of rows that a warning lists by their places. */
const NAMED = 5;

type LengthLimits = Pick<TokenizeOptions, 'config' | 'maxLength'>;

type PromptRows = Extract<GivenTask, { promptsOnly: true }>['rows'];

export interface AnswerPromptsOptions {
  readonly spec: Pick<JobSpec, 'metric' | 'measuredTokens' | 'workDir'>;
  readonly settings: JobSettings;
  /**
   * Tokenizer, model configuration and length limit for the rows. Whether the end of the text is a label is decided
   * later, by the answers.
   */
  readonly format: TokenizeOptions;
  readonly writer: Writer;
  /**
   * Reserves memory for texts of these sizes to be generated, before a base is loaded.
   * @throws InsufficientMemoryError
   */
  reserve(generated: TextSizes): void;
  warn(message: string): void;
  readonly signal: AbortSignal;
}

/** Rows of a task whose prompts came without answers, now with the answers that a version has written. */
export interface AnsweredTask {
  readonly rows: TaskRows;
  /** Number of prompts that were answered. */
  readonly answers: number;
  /** Number of answers that end with an end-of-text token, before the largest number of tokens was reached. */
  readonly ended: number;
  /** Hash of all answers. If two attempts at a job have equal hashes, they have the same answers. */
  readonly digest: string;
}

/** Answer of a version to one prompt, as stored in the job's folder. Plain JSON. */
interface Answer {
  readonly ids: readonly number[];
  readonly text: string;
  readonly ended: boolean;
}

/**
 * Turns prompts alone into rows with answers, which a version writes by greedy decoding. It answers the gate, search
 * and training prompts that the job can use. The answers are stored in the job's folder, so that a restarted job
 * continues.
 * @throws TaskDataError for a metric that does not compare generated text, or if the answers give it too little to
 * compare; TokenizeError; the signal's reason
 */
export async function answerPrompts(rows: PromptRows, options: AnswerPromptsOptions): Promise<AnsweredTask> {
  const { spec, settings, format, writer, warn } = options;
  requireTextMetric(spec.metric);
  const limit = answerLimit(settings, format);
  const prompts = chosenPrompts(rows, limit, options);
  const all = [...prompts.gate, ...prompts.search, ...prompts.training];
  const long = all.filter(({ cut }) => cut !== undefined);
  if (long.length > 0) warn(longWarning(long, all.length, { limit, room: lengthLimit(format) - limit }));
  const answers = await answersTo(all, limit, options);
  const [gate, search] = [prompts.gate.length, prompts.gate.length + prompts.search.length];
  requireAnswers(answers.slice(0, gate), options);
  const answered = all.map((example, index) => answeredRow(example, answers[index]!));
  const ended = answers.filter((answer) => answer.ended).length;
  if (ended < answers.length) warn(unendedWarning(answers, limit, writer));
  return {
    rows: {
      gate: answered.slice(0, gate),
      search: answered.slice(gate, search),
      training: answered.slice(search),
      removed: rows.removed,
    },
    answers: answers.length,
    ended,
    digest: digestOf(answers),
  };
}

/**
 * Checks that the metric can measure how far the answers of two versions agree.
 * @throws TaskDataError if it cannot
 */
function requireTextMetric(metric: MetricName): void {
  if (isGenerated(metric)) return;
  throw new TaskDataError(
    `metric ${metric} needs rows with answers, and the dataset has prompts alone: there, exact_match, rouge_l and ` +
      'token_f1 measure how far a version agrees with the old one; create the adapter with one of them, ' +
      'or give it a dataset with answers',
  );
}

/**
 * Returns the largest number of tokens of an answer, at most half of a row's tokens, so that the rest is left for the
 * prompt.
 */
function answerLimit({ maxNewTokens }: JobSettings, format: LengthLimits): number {
  return Math.min(maxNewTokens > 0 ? maxNewTokens : ANSWER_TOKENS, lengthLimit(format) >> 1);
}

/**
 * Adapts the settings of a job to prompts alone: generated texts are limited to the length of the answers with which
 * they are compared.
 */
export function settingsForPrompts(settings: JobSettings, format: LengthLimits): JobSettings {
  if (settings.maxNewTokens === 0) return settings;
  return { ...settings, maxNewTokens: answerLimit(settings, format) };
}

/**
 * Chooses the prompts that a job can use, and tokenizes them with a placeholder for the answer.
 * @param limit largest number of tokens of an answer
 */
function chosenPrompts(
  { training, search, gate }: PromptRows,
  limit: number,
  { spec, settings, format, warn }: AnswerPromptsOptions,
): Record<'training' | 'search' | 'gate', readonly TokenizedExample[]> {
  // A row holds its prompt, one label, and the room for its answer.
  const options = { ...format, appendEos: false, maxLength: lengthLimit(format) - limit + 1 };
  const { measuredTokens: tokens } = spec;
  const within = (name: DatasetSplit, rows: readonly GivenRow[]): readonly TokenizedExample[] => {
    if (tokens === undefined) return tokenizeRows(rows.map(withPlaceholder), options);
    // A row counts its answer when the version writes it and, except for training, once more when it is measured.
    const generated = name === 'training' ? limit : 2 * limit;
    const examples = tokenizeWithin(rows.map(withPlaceholder), options, { tokens, generated });
    const warning = name === 'training' ? fewerWarning : samplingWarning;
    if (examples.length < rows.length) warn(warning(name, examples.length, rows.length, tokens));
    return examples;
  };
  const { batchSize, seed, maxSteps: steps } = settings;
  const drawn =
    isTrained(settings) && training.length > 0 ? drawnExamples(training.length, { batchSize, seed, steps }) : [];
  const drawnRows = drawn.map((index) => training[index]!);
  return {
    training: drawnRows.length > 0 ? within('training', drawnRows) : [],
    search: within('search', search.slice(0, Math.max(settings.searchRows, WATCHED_ROWS))),
    gate: within('gate', gate),
  };
}

async function answersTo(
  examples: readonly TokenizedExample[],
  limit: number,
  { spec, writer, reserve, signal }: AnswerPromptsOptions,
): Promise<Answer[]> {
  const prompts = examples.map(promptTokens);
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  reserve({ count: prompts.length, longest: longest + limit });
  // The key has the adapter's hash, since a version may be a byte-for-byte copy of the imported one, for another base.
  // It has no folders of bases, which differ from worker to worker.
  const { version, precision } = writer;
  const subject = ['answers', version, precision, limit, adapterSha256(writer.adapter), digestOf(prompts)];
  return labelInParts(prompts, { folder: join(spec.workDir, 'answers'), subject, signal }, async (part) => {
    const requests = part.map((promptIds) => ({ promptIds, maxNewTokens: limit }));
    const texts = await generateTexts(await writer.loadBase(), writer.adapter, requests, { signal });
    return texts.map(({ tokenIds: ids, text, stop }): Answer => ({ ids, text, ended: stop === 'end_of_text' }));
  });
}

/**
 * Returns a hash of all prompts or answers. They are hashed one by one, because their joined text may exceed the
 * largest length of a string.
 */
function digestOf(values: readonly (readonly number[] | Answer)[]): string {
  const hash = createHash('sha256');
  for (const value of values) hash.update(JSON.stringify(value));
  return hash.digest('hex');
}

function answeredRow(example: TokenizedExample, { ids, text }: Answer): ExampleRow {
  return { ...withAnswer(example.row, text), written: { promptIds: promptTokens(example), answerIds: ids } };
}

/**
 * Checks that the metric can distinguish the answers to gate prompts from others. An answer in which the metric counts
 * no word has the same score whatever another version answers; if all answers were like that, every version would be
 * certified.
 * @throws TaskDataError if no answer has any text, or if the metric counts no word in more than {@link MOST_UNCOUNTED}
 * of the answers
 */
function requireAnswers(answers: readonly Answer[], { spec: { metric }, writer, warn }: AnswerPromptsOptions): void {
  const name = writerName(writer.version);
  if (answers.every(({ text }) => text.trim() === '')) {
    throw new TaskDataError(
      `${name} answers none of the ${answers.length} gate prompts, so that there is nothing to agree with: ` +
        'give it prompts as those that it was trained on, and see with readapt generate what it answers',
    );
  }
  const uncounted = answers.filter(({ text }) => isGenerated(metric) && textScore(metric, text, text) === 0).length;
  if (uncounted === 0) return;
  const found =
    `${metric} counts no word in ${uncounted} of ${answers.length} answers of ${name} to gate prompts, ` +
    'so that whatever another version says there has the same score';
  if (uncounted <= MOST_UNCOUNTED * answers.length) return warn(found);
  throw new TaskDataError(
    `${found}, expected at most ${100 * MOST_UNCOUNTED} % of them: ` +
      'create the adapter with the metric exact_match, which compares all that is said',
  );
}

function fewerWarning(name: DatasetSplit, used: number, all: number, tokens: number): string {
  return (
    `${used} of ${all} ${name} rows are answered, a random sample that is always the same: ` +
    `answering them may take ${tokens} tokens (READAPT_MEASURED_TOKENS)`
  );
}

function longWarning(
  long: readonly TokenizedExample[],
  all: number,
  { limit, room }: { readonly limit: number; readonly room: number },
): string {
  const places = long.slice(0, NAMED).map(({ row }, index) => rowPlace(row, index));
  const others = long.length > NAMED ? ` and ${long.length - NAMED} more` : '';
  return (
    `${long.length} of ${all} prompts have more than ${room} tokens and lose their beginning, ` +
    `so that there is room for an answer: ${places.join(', ')}${others}; ` +
    `a larger max_length, or a max_new_tokens below ${limit}, keeps more of them`
  );
}

function unendedWarning(answers: readonly Answer[], limit: number, { version }: Writer): string {
  const cut = answers.filter((answer) => !answer.ended).length;
  return (
    `${cut} of ${answers.length} answers of ${writerName(version)} do not end within ${limit} tokens, ` +
    'and versions are compared up to there: a larger max_new_tokens, up to half of max_length, lets it go on'
  );
}
