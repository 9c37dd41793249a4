import { describe, expect, it } from 'vitest';
import { generateTexts, type GeneratingBase } from '../../../../core/engine/generation/generate-texts.ts';
import type { Batch, DecodeStep, Runtime } from '../../../../core/engine/runtime.ts';

/** A model that generates the bytes of a text, whatever the prompt, and then the end (256). Tokens are bytes. */
function saying(text: string): GeneratingBase {
  const script = [...Buffer.from(text), 256];
  const config = { vocabSize: 257, numLayers: 0, numKeyValueHeads: 1, headDim: 1, maxPositionEmbeddings: 999 };
  const pass = (positions: readonly number[]) => ({
    logits: Float32Array.from(
      positions.flatMap((at) => Array.from({ length: 257 }, (_, id) => Number(id === script[at]))),
    ),
    states: { keys: [], values: [] },
    stateOfToken: new Int32Array(999),
    doraFactors: new Map<string, Float32Array>(),
  });
  const runtime = {
    base: { config },
    tokenBudgets: { forward: 1024, gradients: 384, logits: 2 ** 24 },
    logitRounding: 0.05,
    // Prompts have one token, so that the first pass is at position 0.
    prefill: async (_: unknown, { labelPositions }: Batch) => pass([...labelPositions].map(() => 0)),
    decode: async (_: unknown, { positions }: DecodeStep) => pass([...positions]),
  } as unknown as Runtime;
  const decode = (ids: readonly number[]) => Buffer.from(ids.filter((id) => id < 256)).toString('utf8');
  return { runtime, endOfTextIds: [256], tokenizer: { decode } };
}

async function generate(text: string, stopStrings: readonly string[] = [], maxNewTokens = 99) {
  const pieces: string[] = [];
  const options = { stopStrings, onText: (_: number, piece: string) => pieces.push(piece) };
  const [found] = await generateTexts(saying(text), null, [{ promptIds: [7], maxNewTokens }], options);
  return { ...found!, pieces };
}

describe('generateTexts', () => {
  it('gives the text without the end of it, and hands out whole characters', async () => {
    const { text, tokenIds, stop, pieces } = await generate('héllo 你');
    expect({ text, stop, tokens: tokenIds.length }).toEqual({ text: 'héllo 你', stop: 'end_of_text', tokens: 11 });
    expect(pieces).toEqual(['h', 'é', 'l', 'l', 'o', ' ', '你']);
  });

  it.each([
    ['one, two, three', ['two'], 'one, ', 8],
    ['one, two, three', [', three', 'two'], 'one, ', 8],
    ['aaab', ['aab'], 'a', 4],
    ['one', ['one'], '', 3],
    ['你好', ['好'], '你', 6],
  ])('stops %j at %j', async (whole, stopStrings, text, tokens) => {
    const found = await generate(whole, stopStrings);
    expect(found).toMatchObject({ text, stop: 'stop_string' });
    expect(found.tokenIds).toHaveLength(tokens);
    expect(found.pieces.join('')).toBe(text);
  });

  it('hands out what looked like the beginning of a stop string when it turns out to be none', async () => {
    const found = await generate('end is not enough', ['ending']);
    expect(found).toMatchObject({ text: 'end is not enough', stop: 'end_of_text' });
    expect(found.pieces.join('')).toBe('end is not enough');
    expect(found.pieces[0]).toBe('e');
  });

  it('cuts a text that is too long, also within a character', async () => {
    expect(await generate('你好', [], 4)).toMatchObject({
      text: '你\uFFFD',
      stop: 'max_new_tokens',
      pieces: ['你', '\uFFFD'],
    });
  });

  it('ends a text where the rest does not matter', async () => {
    const seen: string[] = [];
    const isSettled = (_: number, text: string) => {
      seen.push(text);
      return text === 'one';
    };
    const requests = [{ promptIds: [7], maxNewTokens: 99 }];
    const [found] = await generateTexts(saying('one, two'), null, requests, { isSettled });
    expect(found).toMatchObject({ text: 'one', stop: 'settled' });
    expect(seen).toEqual(['o', 'on', 'one']);
  });

  it('refuses an empty stop string', async () => {
    await expect(generate('a', [''])).rejects.toThrow('a stop string is empty');
  });
});
