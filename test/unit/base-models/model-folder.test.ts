import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/fleet/base-models/index.ts';

test.each([
  ['a NUL in a text', '{"a":[{"b":"x\\u0000"}]}', /"b" has a NUL/],
  ['a NUL in a name', '{"a":{"b\\u0000":1}}', /"b\\u0000" has a NUL/],
  ['half of a character', '{"a":"\\ud800"}', /"a" has a NUL or half of a character/],
])('a config.json with %s, which no database can hold, is refused', (_what, text, message) => {
  const refused = { status: 422, code: 'invalid_base_model', message: expect.stringMatching(message) };
  expect(() => parseConfig(text)).toThrow(expect.objectContaining(refused));
});

test('a config.json may have all other text', () => {
  expect(parseConfig('{"a":"\\\\u0000 \\ud83d\\ude00 \\n"}')).toEqual({ a: '\\u0000 😀 \n' });
});
