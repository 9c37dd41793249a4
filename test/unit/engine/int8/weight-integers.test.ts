import { expect, it } from 'vitest';
import { SHIFTED, SIGNED, weightIntegersFor } from '../../../../core/engine/int8/weight-integers.ts';

it('is signed where the processor multiplies u8 by s8 exactly', () => {
  expect(weightIntegersFor('x64', ['avx2', 'avx512f', 'avx512_vnni'])).toBe(SIGNED);
  expect(weightIntegersFor('x64', ['avx2', 'avx_vnni'])).toBe(SIGNED);
  expect(weightIntegersFor('arm64', [])).toBe(SIGNED);
});

it('is unsigned where sums of pairs would be cut off, and where the features are unknown', () => {
  expect(weightIntegersFor('x64', ['avx2'])).toBe(SHIFTED);
  expect(weightIntegersFor('x64', ['avx2', 'avx512f'])).toBe(SHIFTED);
  expect(weightIntegersFor('x64', [])).toBe(SHIFTED);
});
