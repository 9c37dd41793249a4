import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Random } from '../../../core/statistics/random.ts';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/golden');

/** Pieces of random strings: every script, width and class of character that splitting rules distinguish. */
const SCRIPTS = [
  'abcdefghijklmnopqrstuvwxyz',
  'ABCXYZ',
  '0123456789٣५Ⅷ½',
  ' ',
  ' \t\n\r\u00a0\u2003\u3000\u200b',
  '.,;:!?\'"()[]{}<>|/\\@#$%^&*_-+=~`…—“”«»',
  'äöüßéèñçåøłžőāÅİıſ',
  'e\u0301n\u0303a\u0308o\u0302\u0323',
  'αβγδωЖдийщёכלםןعربيةहिन्दीไทย',
  '中文字符漢字かなカナ한국어',
  '👋🏽🎉👩‍👩‍👧🇩🇪❤️✊🏿🧑‍🚀',
  '𝔘𝕟𝒾𝖈𝗈𝖽𝚎∑∞≠→',
  '\u0000\u0001\u001f\u007f\ufeff\ufffd',
];

const PIECES = [
  "'s",
  "'ll",
  "'RE",
  "don't",
  '\r\n',
  '\n\n',
  '   ',
  'http://x.y/z?q=1',
  '3.14',
  '1,000,000',
  '<|begin_of_text|>',
];

/** Makes training lines from the words of the fixtures' texts, in an order that follows from the seed. */
export function trainingTexts(random: Random): string[] {
  const words = fixtureWords();
  return Array.from({ length: 200 }, () => Array.from({ length: 12 }, () => pick(random, words)).join(' '));
}

/** Makes strings of 0 to 24 pieces: words of the training lines, other words, and runs of one script's characters. */
export function randomStrings(random: Random, count: number): string[] {
  const words = fixtureWords();
  const piece = () => {
    const kind = random.integer(10);
    if (kind < 4) return `${random.integer(2) ? ' ' : ''}${pick(random, words)}`;
    if (kind < 5) return pick(random, PIECES);
    const characters = [...pick(random, SCRIPTS)];
    return Array.from({ length: 1 + random.integer(5) }, () => pick(random, characters)).join('');
  };
  return Array.from({ length: count }, () => Array.from({ length: random.integer(25) }, piece).join(''));
}

function fixtureWords(): string[] {
  const readme = readFileSync(path.join(GOLDEN, 'README.md'), 'utf8');
  const cases = JSON.parse(readFileSync(path.join(GOLDEN, 'tokenizer/cases.json'), 'utf8')) as {
    encode: { text: string }[];
  };
  const texts = [readme, ...cases.encode.map(({ text }) => text)];
  return texts.flatMap((text) => text.split(/\s+/)).filter((word) => word !== '' && word.length < 40);
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}
