import path from 'node:path';
import { loadDataset } from '../../../core/data/dataset.ts';
import type { ExampleRow, LabelSpan, TokenizedExample } from '../../../core/data/example.ts';
import { tokenizeRows, type TokenizeOptions } from '../../../core/data/tokenize.ts';
import { Random } from '../../../core/statistics/random.ts';

const DATA = path.join(import.meta.dirname, '../../../examples/demo-family/data');

/** Kinds of rows: reviews of one line, news of some lines, or conversations of 200 to 500 tokens. */
export const ROW_KINDS = ['sst2', 'agnews', 'chat'] as const;

export type RowKind = (typeof ROW_KINDS)[number];

/** Lengths of conversations in tokens. */
const CHAT_TOKENS = { least: 200, most: 500 } as const;

/** Matches the prompt of an AG News row. */
const STORY = /^News: (?<story>.*)\nTopic:$/s;

export interface RowSets {
  readonly training: readonly TokenizedExample[];
  readonly held: readonly TokenizedExample[];
}

/** Tokenizes all rows of a kind for a model, without any change to their lengths. */
export async function loadRows(kind: RowKind, options: TokenizeOptions): Promise<RowSets> {
  const load = async (file: string) => {
    const rows = await loadDataset(path.join(DATA, kind === 'sst2' ? 'sst2' : 'agnews', file));
    return kind === 'chat' ? conversations(rows, options) : tokenizeRows(rows, options);
  };
  return { training: await load('train.jsonl'), held: await load('validation.jsonl') };
}

/**
 * Makes conversations of news stories: in each turn the user begins a story and the assistant ends it. Turns are added
 * until the conversation has a length drawn at random. All answers are labels.
 */
function conversations(rows: readonly ExampleRow[], options: TokenizeOptions): TokenizedExample[] {
  const random = Random.fromSeed(0);
  const made: TokenizedExample[] = [];
  let open: TokenizedExample[] = [];
  let goal = drawLength(random);
  for (const turn of tokenizeRows(rows.map(turnOf), options)) {
    open.push(turn);
    const conversation = joined(open);
    if (conversation.tokenIds.length < goal) continue;
    if (conversation.tokenIds.length <= CHAT_TOKENS.most) made.push(conversation);
    [open, goal] = [[], drawLength(random)];
  }
  return made;
}

function joined(turns: readonly TokenizedExample[]): TokenizedExample {
  const tokenIds: number[] = [];
  const labelSpans: LabelSpan[] = [];
  for (const turn of turns) {
    labelSpans.push(...turn.labelSpans.map(([from, to]): LabelSpan => [tokenIds.length + from, tokenIds.length + to]));
    tokenIds.push(...turn.tokenIds);
  }
  return { tokenIds, labelSpans, row: turns[0]!.row };
}

function drawLength(random: Random): number {
  return CHAT_TOKENS.least + Math.floor(random.uniform() * (CHAT_TOKENS.most - CHAT_TOKENS.least));
}

function turnOf(row: ExampleRow): ExampleRow {
  const text = 'prompt' in row ? row.prompt : '';
  const words = (STORY.exec(text)?.groups?.['story'] ?? text).split(' ');
  const half = words.length >> 1;
  const [begun, rest] = [words.slice(0, half), words.slice(half)].map((part) => part.join(' '));
  return { prompt: `\nUser: Go on with this story. ${begun}\nAssistant:`, completion: ` ${rest}` };
}
