import { endProbability } from '../../data/evaluation/end-probability.ts';
import type { ExampleRow } from '../../data/example.ts';
import { endOfText, lengthLimit, tokenizeRows } from '../../data/tokenize.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import { readAdapterManifest, type AdapterManifest } from '../../formats/peft/adapter-manifest.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { GivenAdapterOptions } from '../../options/adapter-options.ts';
import { writerName, type Writer } from '../prompts/writer.ts';

/** Format in which the rows of an adapter become tokens. Plain JSON. */
export interface RowFormat {
  /** Whether the end-of-text token follows each completion and is learned as a label. */
  readonly appendEos: boolean;
  /** Reason for the value of `appendEos`, in words for the user. */
  readonly appendEosReason: string;
  /** Largest number of tokens of a row. Longer rows lose the beginning of their prompt. */
  readonly maxLength: number;
}

/** Number of rows on which an adapter is measured to find out whether it was trained to end its completions. */
const MEASURED_ROWS = 16;

interface WrittenCounts {
  readonly writer: Pick<Writer, 'version'>;
  readonly answers: number;
  readonly ended: number;
}

export interface RowFormatSources {
  /** Options of the row format that the user has set. */
  readonly given: GivenAdapterOptions;
  /** PEFT folder of the adapter. */
  readonly folder: string;
  readonly adapter: Adapter;
  readonly config: ModelConfig;
  /** Loads the base that the adapter was trained for. Called only if the adapter has to be measured. */
  readonly loadBase: () => Promise<LoadedBase>;
  /**
   * Rows of the task. A few of them are measured if neither the options nor the adapter's files tell how it was
   * trained.
   */
  readonly rows: readonly ExampleRow[];
  /**
   * Number of answers that a version has written to prompts alone, and number of those that it ended with an
   * end-of-text token. If these numbers are given, the adapter need not be measured.
   */
  readonly written?: WrittenCounts | undefined;
  readonly signal: AbortSignal;
}

/**
 * Decides the format of an adapter's rows. The user's options come first. What they leave open follows from the
 * adapter's `readapt.json`. If this file does not tell whether completions end with the end-of-text token, a
 * measurement of the adapter on the base for which it was trained decides.
 */
export async function decideRowFormat(options: RowFormatSources): Promise<RowFormat> {
  const manifest = await readAdapterManifest(options.folder);
  const maxLength = maxLengthOf(options, manifest);
  return { ...(await appendEosOf(options, manifest, maxLength)), maxLength };
}

/** Decides only the largest number of tokens of a row, which needs no measurement. */
export async function maxLengthIn(options: Pick<RowFormatSources, 'given' | 'folder' | 'config'>): Promise<number> {
  return maxLengthOf(options, await readAdapterManifest(options.folder));
}

function maxLengthOf(
  { given, config }: Pick<RowFormatSources, 'given' | 'config'>,
  manifest: AdapterManifest | null,
): number {
  return lengthLimit({ config, maxLength: given.max_length ?? manifest?.maxLength ?? null });
}

async function appendEosOf(
  options: RowFormatSources,
  manifest: AdapterManifest | null,
  maxLength: number,
): Promise<Pick<RowFormat, 'appendEos' | 'appendEosReason'>> {
  const { append_eos: asked = 'auto' } = options.given;
  if (asked !== 'auto') return { appendEos: asked === 'yes', appendEosReason: 'asked for' };
  const known = manifest?.appendEos ?? null;
  if (known !== null) return { appendEos: known, appendEosReason: "says the adapter's readapt.json" };
  const { written } = options;
  if (written) {
    const reason = `${writerName(written.writer.version)} ends ${written.ended} of its ${written.answers} answers`;
    return { appendEos: 2 * written.ended > written.answers, appendEosReason: reason };
  }
  return measureAppendEos(options, maxLength);
}

async function measureAppendEos({ loadBase, adapter, rows, signal }: RowFormatSources, maxLength: number) {
  const { tokenizer, model, runtime, endOfTextIds } = await loadBase();
  const format = { tokenizer, config: model.config };
  const end = endOfText(format);
  if (end === null) return { appendEos: false, appendEosReason: 'the base names no end of a text' };
  const examples = tokenizeRows(rows.slice(0, MEASURED_ROWS), { ...format, maxLength });
  if (examples.every(({ tokenIds }) => tokenizer.isSpecial(tokenIds.at(-1)!))) {
    return { appendEos: false, appendEosReason: 'the chat template ends each turn itself' };
  }
  const ends = [...new Set([end, ...endOfTextIds])];
  const probability = await endProbability(runtime, adapter, examples, { ends, signal });
  const percent = (100 * probability).toFixed(probability < 0.01 || probability > 0.99 ? 2 : 0);
  const reason = `the old adapter ends ${examples.length} completions with a mean probability of ${percent} %`;
  return { appendEos: probability > 0.5, appendEosReason: reason };
}
