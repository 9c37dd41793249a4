import { expect, test } from 'vitest';
import { engineName, parseEngineName, type EngineName } from '../../../src/delivery/serving/engine-name.ts';

const NAMES: [string, EngineName][] = [
  ['acme.support', { tenant: 'acme', adapter: 'support' }],
  ['acme.support@3', { tenant: 'acme', adapter: 'support', number: 3 }],
  ['acme.support@2147483647', { tenant: 'acme', adapter: 'support', number: 2 ** 31 - 1 }],
  ['acme%2Eeu.support.v2_a-b@12', { tenant: 'acme.eu', adapter: 'support.v2_a-b', number: 12 }],
  ['%2E%2E.%2E%2E', { tenant: '..', adapter: '..' }],
  ['a%2Fb.c%40d%25@1', { tenant: 'a/b', adapter: 'c@d%', number: 1 }],
  ['caf%C3%A9.%7Ex%2A%27', { tenant: 'café', adapter: "~x*'" }],
];

test.each(NAMES)('%s is written and read', (text, name) => {
  expect(engineName(name)).toBe(text);
  expect(parseEngineName(text)).toEqual(name);
});

test('two adapters never have the same name, wherever the dots are', () => {
  const parts = ['a', 'b', 'a.b', 'b.a', 'a..b', 'a%2Eb', 'a@1'];
  const names = parts.flatMap((tenant) => parts.map((adapter) => engineName({ tenant, adapter })));
  expect(new Set(names).size).toBe(parts.length ** 2);
});

test.each([
  '',
  'acme',
  '.support',
  'acme.',
  'acme.support@',
  'acme.support@0',
  'acme.support@03',
  'acme.support@-1',
  'acme.support@2147483648',
  'acme.support@99999999999',
  'acme.support@1@2',
  'acme.a/b',
  'acme...',
  'acme%2eeu.support',
  'acme.%73upport',
  'acme.%ZZ',
  'acme.%FF',
  'acme.a\nb',
  `acme.${'a'.repeat(2000)}`,
])('%j is no name of an adapter', (text) => {
  expect(parseEngineName(text)).toBeNull();
});
