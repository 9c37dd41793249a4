import { expect, test } from 'vitest';
import { readCompletion, readListing } from '../../../src/delivery/replicas/engines/answers.ts';
import { timeProcessor } from '../../processor-time.ts';

const card = (id: string, root: string, parent: string | null) => ({ id, root, parent, permission: [{ id: 'p' }] });

test('a list tells adapters from their base, and one of 20,000 is read at once', async () => {
  const names = Array.from({ length: 20_000 }, (_, n) => `acme.adapter-${n}@1`);
  const data = [card('base', '/models/base', null), ...names.map((name) => card(name, `/adapters/${name}`, 'base'))];
  const { result, processorMs } = await timeProcessor(() => readListing({ object: 'list', data }));
  const { bases, adapters } = result;
  // It takes about 10 ms, and took 2 s when each card was validated by the uncompiled schema.
  expect(processorMs).toBeLessThan(500);
  expect([...bases]).toEqual(['base', '/models/base']);
  expect(adapters.size).toBe(20_000);
  expect(adapters.get('acme.adapter-7@1')).toBe('/adapters/acme.adapter-7@1');
});

test.each([null, {}, { data: [{ root: 'x' }] }, { data: [{ id: 'x', parent: 7 }] }])('%j is no list', (answer) => {
  expect(() => readListing(answer)).toThrow('/v1/models lists no models');
});

test('a completion has to tell the probabilities of its tokens', () => {
  const choices = [{ text: ' a', logprobs: { token_logprobs: [null, -0.5] } }];
  expect(readCompletion({ choices })).toEqual({ text: ' a', logprobs: [0, -0.5] });
  expect(() => readCompletion({ choices: [{ text: ' a', logprobs: null }] })).toThrow('without log-probabilities');
  expect(() => readCompletion({ choices: [] })).toThrow('without log-probabilities');
});
