import { afterEach, describe, expect, it, vi } from 'vitest';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { checkCases, type CheckCase } from '../../../core/device-check/cases.ts';
import { compareCase } from '../../../core/device-check/compare.ts';
import { compareTraining } from '../../../core/device-check/training-steps.ts';
import { ARCHITECTURES } from '../../../core/models/architecture/architecture-table.ts';

const COMPARED = { device: 'cpu', reference: 'tfjs-cpu', threads: 1 } as const;
const CASE = checkCases(false)[0]!;

afterEach(() => vi.restoreAllMocks());

it('the cases cover every family, LoRA and DoRA, dropout, and bases in float16 where a device has them', () => {
  const families = (cases: readonly CheckCase[]) => new Set(cases.map(({ config }) => config?.modelType ?? 'llama'));
  expect([...families(checkCases(false))].sort()).toEqual(Object.keys(ARCHITECTURES).sort());
  expect(checkCases(false).map(({ dora = false }) => dora)).toContain(true);
  expect(checkCases(false).some(({ dropout = 0 }) => dropout > 0)).toBe(true);
  expect(checkCases(true).filter(({ precision }) => precision === 'f16')).toHaveLength(2);
  expect(new Set(checkCases(true).map(({ name }) => name)).size).toBe(checkCases(true).length);
});

describe('a case', () => {
  it('passes on a device that agrees, with the figures', async () => {
    const result = await compareCase(COMPARED, CASE);
    expect(result).toMatchObject({ name: CASE.name, precision: 'f32', tolerance: 1e-4, passed: true, error: null });
    for (const value of [result.losses, result.logits, result.gradients]) {
      expect(value).toBeGreaterThan(0);
      expect(value).toBeLessThan(1e-5);
    }
  });

  const wrong: { what: 'labelLosses' | 'logits'; change: (values: Float32Array) => Float32Array; off: RegExp }[] = [
    {
      what: 'labelLosses',
      change: (values) => values.map((value, i) => (i === 1 ? value + 2.5e-4 : value)),
      off: /^2\./,
    },
    { what: 'logits', change: (values) => values.map((value, i) => (i === 7 ? NaN : value)), off: /^NaN$/ },
    { what: 'logits', change: (values) => values.slice(1), off: /^Infinity$/ },
  ];
  it.each(wrong)('does not pass where one of the $what is wrong: $off', async ({ what, change, off }) => {
    const compute = CompiledRuntime.prototype[what];
    vi.spyOn(CompiledRuntime.prototype, what).mockImplementation(async function (this: CompiledRuntime, ...args) {
      return change(await compute.apply(this, args));
    });
    const result = await compareCase(COMPARED, CASE);
    expect(result.passed).toBe(false);
    expect(String(what === 'logits' ? result.logits : 1e4 * result.losses!)).toMatch(off);
  });

  it('does not pass where one number of one gradient is wrong', async () => {
    const compute = CompiledRuntime.prototype.gradients;
    vi.spyOn(CompiledRuntime.prototype, 'gradients').mockImplementation(async function (
      this: CompiledRuntime,
      ...args
    ) {
      const result = await compute.apply(this, args);
      const [, factors] = [...result.gradients].at(-1)!;
      factors.b[3]! *= 1.5;
      return result;
    });
    const result = await compareCase(COMPARED, CASE);
    expect(result.passed).toBe(false);
    expect(result.gradients).toBeGreaterThan(1e-3);
  });

  it('tells why a device gives no numbers, and releases it', async () => {
    const dispose = vi.spyOn(CompiledRuntime.prototype, 'dispose');
    vi.spyOn(CompiledRuntime.prototype, 'logits').mockRejectedValue(new Error('no kernel for Gemm'));
    const expected = { losses: null, logits: null, gradients: null, passed: false, error: 'no kernel for Gemm' };
    expect(await compareCase(COMPARED, CASE)).toMatchObject(expected);
    expect(dispose).toHaveBeenCalledOnce();
  });
});

describe('training', () => {
  it('passes on a device that agrees', async () => {
    expect(await compareTraining(COMPARED)).toMatchObject({ steps: 5, passed: true, error: null });
  });

  it('does not pass on one whose gradients lose a module', async () => {
    const compute = CompiledRuntime.prototype.gradients;
    vi.spyOn(CompiledRuntime.prototype, 'gradients').mockImplementation(async function (
      this: CompiledRuntime,
      ...args
    ) {
      const result = await compute.apply(this, args);
      [...result.gradients].at(-1)![1].a.fill(0);
      return result;
    });
    const result = await compareTraining(COMPARED);
    expect(result.passed).toBe(false);
    expect(result.factors).toBeGreaterThan(1e-3);
  });
});
