import path from 'node:path';
import { loadDataset } from '../../core/data/dataset.ts';
import type { ExampleRow, TokenizedExample } from '../../core/data/example.ts';
import { tokenizeRows, type TokenizeOptions } from '../../core/data/tokenize.ts';
import { Random } from '../../core/statistics/random.ts';

const DATA = path.join(import.meta.dirname, '../../examples/demo-family/data');

/** What the rows are: reviews of a line, news of some lines, or conversations of 200 to 500 tokens. */
export const ROW_KINDS = ['sst2', 'agnews', 'chat'] as const;

export type RowKind = (typeof ROW_KINDS)[number];

/** Lengths of conversations in tokens, with those of the last answer. */
const CHAT_TOKENS = { least: 200, most: 500 } as const;

/** Where AG News rows begin and end, around the story. */
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
 * Makes conversations of news: the user begins a story and the assistant ends it, until a conversation has as many tokens
 * as were drawn for it. The last answer is the completion.
 */
function conversations(rows: readonly ExampleRow[], options: TokenizeOptions): TokenizedExample[] {
  const turns = tokenizeRows(rows.map(turnOf), options);
  const random = Random.fromSeed(0);
  const made: TokenizedExample[] = [];
  let ids: number[] = [];
  let goal = drawLength(random);
  for (const turn of turns) {
    const length = ids.length + turn.promptIds.length + turn.completionIds.length;
    if (length >= goal) {
      if (length <= CHAT_TOKENS.most) made.push({ ...turn, promptIds: [...ids, ...turn.promptIds] });
      [ids, goal] = [[], drawLength(random)];
    } else ids = [...ids, ...turn.promptIds, ...turn.completionIds];
  }
  return made;
}

function drawLength(random: Random): number {
  return CHAT_TOKENS.least + Math.floor(random.uniform() * (CHAT_TOKENS.most - CHAT_TOKENS.least));
}

function turnOf({ prompt }: ExampleRow): ExampleRow {
  const words = (STORY.exec(prompt)?.groups?.['story'] ?? prompt).split(' ');
  const half = words.length >> 1;
  const [begun, rest] = [words.slice(0, half), words.slice(half)].map((part) => part.join(' '));
  return { prompt: `\nUser: Go on with this story. ${begun}\nAssistant:`, completion: ` ${rest}` };
}
