import { describe, expect, it } from 'vitest';
import { adamwInit, adamwUpdate, type Arrays, type AdamwStep } from '../../../core/training/optimizer/adamw.ts';
import { clipGlobalNorm, globalNorm } from '../../../core/training/optimizer/clipping.ts';
import { cosineSchedule } from '../../../core/training/optimizer/cosine-schedule.ts';

const arrays = (values: number[]): Arrays => new Map([['w', Float32Array.from(values)]]);
const options = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1 };

describe('AdamW', () => {
  it('takes the steps computed by hand', () => {
    // Step 1: m = 0.1·g, v = 0.01·g², both bias-corrected to g and g², so the update is η · sign(g), after decay.
    let step: AdamwStep = { parameters: arrays([1, -2]), state: adamwInit(arrays([1, -2])) };
    step = adamwUpdate(step, arrays([0.5, -4]), 0.01, options);
    expect(step.parameters.get('w')![0]).toBeCloseTo(1 * 0.999 - 0.01, 6);
    expect(step.parameters.get('w')![1]).toBeCloseTo(-2 * 0.999 + 0.01, 6);
    // Step 2 with gradient 1 for the first: m = 0.9·0.05 + 0.1 = 0.145, v = 0.99·0.0025 + 0.01 = 0.012475.
    const before = step.parameters.get('w')![0]!;
    step = adamwUpdate(step, arrays([1, 0]), 0.01, options);
    const expected = before * 0.999 - (0.01 * (0.145 / 0.19)) / Math.sqrt(0.012475 / 0.0199);
    expect(step.parameters.get('w')![0]).toBeCloseTo(expected, 6);
    expect(step.state.step).toBe(2);
  });

  it('does not change the parameters, but changes the moments in place', () => {
    const parameters = arrays([1, 2]);
    const state = adamwInit(parameters);
    adamwUpdate({ parameters, state }, arrays([3, 4]), 0.1);
    expect([...parameters.get('w')!]).toEqual([1, 2]);
    expect(state.mean.get('w')![0]).toBeCloseTo(0.3, 6);
  });

  it('refuses a gradient that is missing or has another length', () => {
    const step = { parameters: arrays([1, 2]), state: adamwInit(arrays([1, 2])) };
    expect(() => adamwUpdate(step, new Map(), 0.1)).toThrow('the gradient of w is missing, expected 2 elements');
    expect(() => adamwUpdate(step, arrays([1]), 0.1)).toThrow('the gradient of w has 1 elements, expected 2 elements');
  });
});

describe('global-norm clipping', () => {
  it('scales gradients down to the norm, and does not change shorter ones', () => {
    const gradients = new Map([...arrays([3]), ['u', Float32Array.from([4])]]);
    expect(clipGlobalNorm(gradients, 5)).toBe(5);
    expect(gradients.get('w')![0]).toBe(3);
    expect(clipGlobalNorm(gradients, 1)).toBe(5);
    expect(globalNorm(gradients)).toBeCloseTo(1, 6);
    expect(gradients.get('w')![0]).toBeCloseTo(0.6, 6);
  });

  it('sums over all elements, whatever their number', () => {
    const lengths = [1, 2, 3, 4, 5, 9, 1000];
    const gradients = new Map(lengths.map((length) => [`w${length}`, Float32Array.from({ length }, (_, i) => i - 3)]));
    const squares = [...gradients.values()]
      .flatMap((values) => [...values])
      .reduce((sum, value) => sum + value ** 2, 0);
    expect(globalNorm(gradients)).toBeCloseTo(Math.sqrt(squares), 3);
  });

  it('refuses gradients that are not finite', () => {
    expect(() => clipGlobalNorm(arrays([NaN]), 1)).toThrow("the gradients' norm is NaN");
  });
});

describe('the cosine schedule', () => {
  it('warms up linearly, follows half a cosine, and stays at zero', () => {
    const rate = cosineSchedule({ peak: 1, steps: 12, warmupSteps: 2 });
    const rates = [0, 1, 2, 7, 12, 20].map((step) => Number(rate(step).toFixed(6)));
    expect(rates).toEqual([0.5, 1, 1, 0.5, 0, 0]);
  });

  it('starts at the peak without a warm-up', () => {
    const rate = cosineSchedule({ peak: 2, steps: 4, warmupSteps: 0 });
    expect(rate(0)).toBe(2);
    expect(rate(1)).toBeCloseTo(1 + Math.SQRT1_2, 10);
  });

  it('refuses a warm-up longer than the run', () => {
    expect(() => cosineSchedule({ peak: 1, steps: 3, warmupSteps: 4 })).toThrow(
      "the schedule's warmupSteps is 4, expected 0 to 3",
    );
  });
});
