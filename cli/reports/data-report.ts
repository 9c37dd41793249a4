import { styleText } from 'node:util';
import { labelCount, type TokenizedExample } from '../../core/data/example.ts';
import { fullLength, lengthsOf } from '../../core/data/lengths.ts';
import { lengthLimit, tokenizeRows, type TokenizeOptions } from '../../core/data/tokenize.ts';
import { areAnswered, loadGivenDataset } from '../../core/data/dataset.ts';
import { tokenizeOpenPrompts } from '../../core/data/open-prompts.ts';
import { isChat } from '../../core/formats/dataset/dataset-row.ts';
import { readModelConfig } from '../../core/formats/hugging-face/model-weights.ts';
import { loadTokenizer, type Tokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import { count } from '../screen/output.ts';

export interface DataReport {
  readonly document: object;
  readonly rows: readonly [string, string][];
  /** First rows of the dataset as text, with their labels marked. */
  readonly text: string;
}

export interface DataReportOptions {
  /** Folder of the base model whose tokenizer is used. Its weights are not read. */
  readonly base: string;
  /** Path of the JSONL file with the dataset's rows. */
  readonly data: string;
  /** Number of first rows to show as tokens. */
  readonly shown: number;
  readonly format: Pick<TokenizeOptions, 'appendEos' | 'maxLength'>;
  /** Whether labels are shown in color, rather than between brackets. */
  readonly color: boolean;
}

/** Reports what a model sees of a dataset: the tokens and labels of the first rows, and the lengths of all rows. */
export async function reportData({ base, data, shown, format, color }: DataReportOptions): Promise<DataReport> {
  const config = await readModelConfig(base);
  const tokenizer = await loadTokenizer(base);
  const options = { tokenizer, config, ...format };
  const given = await loadGivenDataset(data);
  const examples = areAnswered(given) ? tokenizeRows(given, options) : tokenizeOpenPrompts(given, options);
  const first = examples.slice(0, shown);
  const counts = countsOf(examples);
  const lengths = lengthsOf(examples);
  const document = {
    kind: 'base_model',
    architecture: config.modelType,
    data: {
      rows: first.map(rowDocument),
      counts,
      lengths,
      max_length: lengthLimit(options),
      append_eos: format.appendEos ?? false,
    },
  };
  const long =
    counts.truncated > 0 ? `${count(counts.truncated)} (first: line ${counts.first_truncated_line})` : 'none';
  return {
    document,
    rows: [
      ['rows', `${count(counts.rows)} (${count(counts.chats)} conversations)`],
      ['tokens', `${count(counts.tokens)}, of which ${count(counts.labels)} are labels`],
      ['lengths', `${lengths.shortest} to ${lengths.longest}, median ${lengths.median}, 95 % up to ${lengths.p95}`],
      [`longer than ${lengthLimit(options)}`, long],
    ],
    text: first.map((example, i) => `\n${rowTitle(example, i)}\n${rowText(example, tokenizer, color)}\n`).join(''),
  };
}

function countsOf(examples: readonly TokenizedExample[]) {
  const total = (of: (example: TokenizedExample) => number): number =>
    examples.reduce((sum, example) => sum + of(example), 0);
  const truncated = examples.filter(({ cut }) => cut !== undefined);
  return {
    rows: examples.length,
    chats: examples.filter(({ row }) => isChat(row)).length,
    tokens: total(({ tokenIds }) => tokenIds.length),
    labels: total(labelCount),
    truncated: truncated.length,
    truncated_turns: total(({ cut }) => cut?.turns ?? 0),
    first_truncated_line: truncated[0]?.row.line ?? null,
  };
}

/**
 * Document of a row for `--json`. `labels_from` is the position of the first token that is a label; a conversation may
 * have several label spans, [start, end). `truncated` counts the tokens that were cut.
 */
function rowDocument({ tokenIds, labelSpans, cut, row }: TokenizedExample) {
  return {
    line: row.line,
    token_ids: tokenIds,
    labels_from: labelSpans[0]?.[0],
    label_spans: labelSpans,
    truncated: cut?.tokens ?? 0,
  };
}

function rowTitle(example: TokenizedExample, index: number): string {
  const { row, cut } = example;
  const lost = cut ? `, ${count(cut.tokens)} cut from its beginning` : '';
  return `line ${row.line ?? index + 1}: ${count(fullLength(example))} tokens${lost}`;
}

/** Returns the row's text, with labels in green or between ⟦ and ⟧. */
function rowText({ tokenIds, labelSpans }: TokenizedExample, tokenizer: Tokenizer, color: boolean): string {
  const parts: string[] = [];
  let at = 0;
  for (const [start, end] of [...labelSpans, [tokenIds.length, tokenIds.length] as const]) {
    parts.push(textOf(tokenIds.slice(at, start), tokenizer));
    const label = textOf(tokenIds.slice(start, end), tokenizer);
    if (label !== '') parts.push(color ? styleText('green', label) : `⟦${label}⟧`);
    at = end;
  }
  return parts.join('');
}

function textOf(ids: readonly number[], { bytesOf }: Tokenizer): string {
  const text = Buffer.concat(ids.map((id) => bytesOf(id))).toString('utf8');
  // Control characters of a row must not reach the terminal.
  return text.replace(/(?![\t\n])\p{Cc}/gu, '\ufffd');
}
