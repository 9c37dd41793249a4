import { expect, test } from 'vitest';
import { createSecretBox } from '../../../src/platform/config/secret-box.ts';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const SECRET = 'whsec_abc';

test('a secret can be opened for what it belongs to, and for nothing else', () => {
  const box = createSecretBox([key(1)])!;
  const sealed = box.seal(SECRET, 'whe_1');
  expect(sealed).not.toContain(SECRET);
  expect(box.seal(SECRET, 'whe_1')).not.toBe(sealed);
  expect(box.open(sealed, 'whe_1')).toBe(SECRET);
  expect(box.open(sealed, 'whe_2')).toBeNull();
});

test('what was changed, cut or made up cannot be opened', () => {
  const box = createSecretBox([key(1)])!;
  const parts = box.seal(SECRET, 'x').split('.');
  for (let part = 0; part < parts.length; part++) {
    const changed = parts.with(
      part,
      parts[part]!.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')),
    );
    expect(box.open(changed.join('.'), 'x'), `part ${part}`).toBeNull();
    expect(box.open(parts.toSpliced(part, 1).join('.'), 'x')).toBeNull();
  }
  // A tag of four bytes could be guessed.
  const short = parts.with(2, Buffer.from(parts[2]!, 'base64url').subarray(0, 4).toString('base64url'));
  expect(box.open(short.join('.'), 'x')).toBeNull();
  for (const text of ['', '.', 'whsec_abc']) expect(box.open(text, 'x')).toBeNull();
});

test('a new key before the old one encrypts, and both decrypt', () => {
  const sealed = createSecretBox([key(1)])!.seal(SECRET, 'x');
  const both = createSecretBox([key(2), key(1)])!;
  expect(both.open(sealed, 'x')).toBe(SECRET);
  expect(createSecretBox([key(2)])!.open(sealed, 'x')).toBeNull();
  expect(createSecretBox([key(2)])!.open(both.seal(SECRET, 'x'), 'x')).toBe(SECRET);
  expect(createSecretBox([])).toBeNull();
});
