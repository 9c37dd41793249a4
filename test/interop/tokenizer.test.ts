import { readFileSync } from 'node:fs';
import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import { Random } from '../../core/statistics/random.ts';
import { SEEDS } from './support/cases.ts';
import { randomStrings, trainingTexts } from './support/texts.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();
const STYLES = ['gpt2', 'prefix-space', 'digits', 'llama3'] as const;
const cases = SEEDS.flatMap((seed) => STYLES.map((style) => ({ seed, style })));

describe('a byte-level BPE trained by the tokenizers library', () => {
  it.each(cases)('gives equal ids: $style, seed $seed', async ({ seed, style }) => {
    const folder = workspace.path(`${style} ${seed}`);
    await mkdir(folder);
    const random = Random.fromSeed(seed);
    const texts = trainingTexts(random);
    const strings = randomStrings(random, 200);
    const file = path.join(folder, 'tokenizer.json');
    const expected = await workspace.reference.call('byte_level_bpe.train', {
      file,
      style,
      texts,
      vocab_size: 500 + 150 * seed,
      strings,
    });
    expect(readFileSync(file, 'utf8')).toContain('ByteLevel');

    const tokenizer = await loadTokenizer(folder);
    for (const [index, text] of strings.entries()) {
      const shown = JSON.stringify(text);
      expect(tokenizer.encode(text), shown).toEqual(expected.with_special[index]);
      expect(tokenizer.decode(expected.with_special[index]!), shown).toBe(expected.decoded[index]);
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(ids, shown).toEqual(expected.without_special[index]);
    }
  });
});
