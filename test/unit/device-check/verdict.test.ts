import { describe, expect, it } from 'vitest';
import type { BenchmarkResult, CaseResult, Findings, TrainingResult } from '../../../core/device-check/check-report.ts';
import { visibleCard } from '../../../core/device-check/hardware.ts';
import { tf32Result, verdictOf, passesCheck } from '../../../core/device-check/verdict.ts';

const PASSED: CaseResult = {
  name: 'llama',
  precision: 'f32',
  losses: 2e-6,
  logits: 3e-6,
  gradients: 1e-6,
  tolerance: 1e-4,
  passed: true,
  error: null,
};
const TRAINED: TrainingResult = { steps: 5, losses: 1e-7, factors: 1e-7, tolerance: 1e-3, passed: true, error: null };
const speeds = (tokensPerSecond: number) => ({
  forward: [{ tokens: 1024, ms: 1, tokensPerSecond }],
  gradients: [
    { tokens: 64, ms: 1, tokensPerSecond: tokensPerSecond / 2 },
    { tokens: 4096, ms: 1, tokensPerSecond },
  ],
});
const MEASURED: BenchmarkResult = { model: 'SmolLM2-135M', parameters: 1, device: speeds(12_000), cpu: speeds(500) };
const WORKS: Findings = { cases: [PASSED, PASSED], training: TRAINED, benchmark: MEASURED };
const verdict = (findings: Findings, failure: string | null = null) =>
  verdictOf(findings, { reference: 'tfjs-cpu', failure });

describe('the verdict', () => {
  it('of a device that works has its agreement and its speed', () => {
    expect(passesCheck(WORKS)).toBe(true);
    expect(verdict(WORKS)).toBe(
      'works: 2 of 2 cases and 5 training steps agree with tfjs-cpu, to 3e-6; ' +
        '12,000 tokens/s of gradients at 4,096 tokens with SmolLM2-135M, 24 times as fast as cpu',
    );
  });

  it.each<[string, Findings, RegExp]>([
    [
      'a case is off',
      { ...WORKS, cases: [PASSED, { ...PASSED, name: 'gemma2', logits: 0.2, gradients: null, passed: false }] },
      /^does not work: "gemma2" is off: logits by 2e-1, gradients by no finite number, expected at most 0\.0001$/,
    ],
    [
      'a case fails',
      { ...WORKS, cases: [{ ...PASSED, losses: null, passed: false, error: 'no kernel' }] },
      /^does not work: "llama" fails: no kernel$/,
    ],
    [
      'training is off',
      { ...WORKS, training: { ...TRAINED, factors: 0.3, passed: false } },
      /^does not work: training is off: losses by 1e-7, factors by 3e-1, expected at most 0\.001$/,
    ],
    ['the check ended early', { ...WORKS, benchmark: null }, /^does not work: the check has not ended$/],
    ['there are no cases', { ...WORKS, cases: [] }, /^does not work: the check has not ended$/],
  ])('says what is wrong where %s', (_, findings, expected) => {
    expect(passesCheck(findings)).toBe(false);
    expect(verdict(findings)).toMatch(expected);
  });

  it('names the death of its process first', () => {
    expect(verdict({ ...WORKS, training: null }, 'the process died (SIGSEGV)')).toBe(
      'does not work: the process died (SIGSEGV)',
    );
  });
});

it.each([
  [1, undefined, '1'],
  [0, '2,3', '2'],
  [1, '2, 3', '3'],
  [0, 'GPU-8932f937', 'GPU-8932f937'],
  [0, '', '0'],
])('card %i under CUDA_VISIBLE_DEVICES=%s is %s to nvidia-smi', (card, visible, expected) => {
  expect(visibleCard(card, visible)).toBe(expected);
});

describe('TF32', () => {
  const rounded = (gradients: number | null, tokensPerSecond = 30_000): Findings => ({
    ...WORKS,
    cases: [
      { ...PASSED, losses: 5e-4, gradients },
      { ...PASSED, precision: 'f16', gradients: 9 },
    ],
    benchmark: { ...MEASURED, device: speeds(tokensPerSecond) },
  });

  it('is near where losses and gradients in float32 are off by a hundredth at most', () => {
    expect(tf32Result(WORKS, rounded(2e-3))).toEqual({ losses: 5e-4, gradients: 2e-3, speedup: 2.5, near: true });
    expect(tf32Result(WORKS, rounded(2e-2))).toMatchObject({ near: false });
    expect(tf32Result(WORKS, rounded(null))).toMatchObject({ gradients: null, near: false });
    expect(tf32Result({ ...WORKS, benchmark: null }, rounded(2e-3))).toMatchObject({ speedup: null, near: true });
  });
});
