/** Returns 1 if the texts are equal apart from surrounding white space, else 0. */
export function exactMatchOf(text: string, reference: string): number {
  return Number(text.trim() === reference.trim());
}

/** Whether a text that begins like this cannot be an exact match, whatever follows. */
export function cannotMatch(beginning: string, reference: string): boolean {
  const [text, expected] = [beginning.trimStart(), reference.trim()];
  return !expected.startsWith(text) && text.trimEnd() !== expected;
}

/**
 * ROUGE-L, the F-measure of the longest common subsequence of words (Lin 2004), as Google's `rouge-score` computes it
 * with its default tokenizer and without stemming: words are runs of a–z and 0–9 of the lower-cased text.
 * @returns a number from 0 to 1; 0 if either text has no words
 */
export function rougeL(text: string, reference: string): number {
  const words = (of: string) => of.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const [found, expected] = [words(text), words(reference)];
  return fMeasure(longestCommonSubsequence(found, expected), found.length, expected.length);
}

/**
 * F1 of the words of two texts, compared as multisets and normalized as by SQuAD 1.1's official script: lower case,
 * without ASCII punctuation and the articles a, an and the.
 * @returns a number from 0 to 1; 0 if either text has no words
 */
export function tokenF1(text: string, reference: string): number {
  const [found, expected] = [squadWords(text), squadWords(reference)];
  const left = new Map<string, number>();
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of found) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  return fMeasure(common, found.length, expected.length);
}

function fMeasure(common: number, found: number, expected: number): number {
  if (common === 0) return 0;
  const [precision, recall] = [common / found, common / expected];
  return (2 * precision * recall) / (precision + recall);
}

/**
 * Returns the length of the longest common subsequence of two lists of words. It keeps one row of the table in memory.
 */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  const row = new Uint32Array(b.length + 1);
  for (const word of a) {
    let diagonal = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!;
      row[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, row[j - 1]!);
      diagonal = above;
    }
  }
  return row[b.length]!;
}

const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/**
 * Articles as Python's `\b(a|an|the)\b` finds them: its word characters are Unicode's letters, numbers and the
 * underscore.
 */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
/** White space at which Python's `str.split` splits. */
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

function squadWords(text: string): string[] {
  const words = text.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' ').split(WHITE_SPACE);
  return words.filter((word) => word !== '');
}
