import { describe, expect, it } from 'vitest';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import {
  projectedGradient,
  type CoefficientValues,
  type LossAndSlopes,
} from '../../../../core/method/search/gradients/spectral-projected-gradient.ts';

/** ½ Σ c (x − x*)² over both coefficients of every group. */
function parabola(minimum: CoefficientValues, curvature: CoefficientValues) {
  return async (values: CoefficientValues): Promise<LossAndSlopes> => {
    let loss = 0;
    const slopes = new Map<string, Coefficients>();
    for (const [group, { alpha, beta }] of values) {
      const [to, c] = [minimum.get(group)!, curvature.get(group)!];
      loss += 0.5 * (c.alpha * (alpha - to.alpha) ** 2 + c.beta * (beta - to.beta) ** 2);
      slopes.set(group, { alpha: c.alpha * (alpha - to.alpha), beta: c.beta * (beta - to.beta) });
    }
    return { loss, slopes };
  };
}

const pairs = (first: [number, number], second: [number, number]): CoefficientValues =>
  new Map([first, second].map(([alpha, beta], i) => [`group ${i}`, { alpha, beta }]));
const COPY = pairs([1, 0], [1, 0]);

describe('projectedGradient', () => {
  it('finds the minimum in two steps where the preconditioner is the curvature, whatever the scale of the loss', async () => {
    const minimum = pairs([0.9, -0.6], [1.2, -1]);
    for (const scale of [1e-4, 1, 1e4]) {
      const preconditioner = pairs([3 * scale, 100 * scale], [0.1 * scale, 7 * scale]);
      const { values, losses } = await projectedGradient(parabola(minimum, preconditioner), COPY, {
        steps: 2,
        preconditioner,
      });
      expect(losses).toHaveLength(3);
      for (const [group, { alpha, beta }] of values) {
        expect(alpha).toBeCloseTo(minimum.get(group)!.alpha, 6);
        expect(beta).toBeCloseTo(minimum.get(group)!.beta, 6);
      }
    }
  });

  it('comes near it in six steps where the preconditioner is not', async () => {
    const evaluate = parabola(pairs([0.9, -0.6], [1.2, -1]), pairs([1, 4], [2, 3]));
    const { loss, losses } = await projectedGradient(evaluate, COPY);
    expect(losses).toHaveLength(7);
    expect(loss).toBeLessThan(0.01 * losses[0]!);
  });

  it('steps as far as without a coefficient that its bounds fix, however steep that one is', async () => {
    const bounds = { steps: 1, alphaBounds: [1, 1] } as const;
    const [flat, steep] = await Promise.all(
      [0, 1e6].map((curvature) =>
        projectedGradient(parabola(pairs([2, -0.5], [2, -0.5]), pairs([curvature, 1], [curvature, 1])), COPY, bounds),
      ),
    );
    expect(steep!.values).toEqual(flat!.values);
    expect([...flat!.values.values()]).toEqual([
      { alpha: 1, beta: -0.25 },
      { alpha: 1, beta: -0.25 },
    ]);
  });

  it('stops at the bounds', async () => {
    const evaluate = parabola(pairs([2, -3], [-1, 4]), pairs([1, 1], [1, 1]));
    const { values } = await projectedGradient(evaluate, COPY, { steps: 12, betaBounds: [-1, 0.25] });
    expect([...values.values()]).toEqual([
      { alpha: 1.5, beta: -1 },
      { alpha: 0, beta: 0.25 },
    ]);
  });

  it.each([NaN, Infinity, 5])('takes back what raises the loss: %d', async (elsewhere) => {
    const evaluate = async (values: CoefficientValues): Promise<LossAndSlopes> => ({
      loss: values.get('group 0')!.alpha === 1 ? 1 : elsewhere,
      slopes: pairs([1, 0], [0, 0]),
    });
    const { values, loss, losses } = await projectedGradient(evaluate, COPY);
    expect([loss, losses.length]).toEqual([1, 7]);
    expect(values).toEqual(COPY);
  });

  it('shortens a first step that is much too long', async () => {
    const evaluate = parabola(pairs([0.99, -0.01], [1.01, -0.02]), pairs([1, 1], [1, 1]));
    const { loss, losses } = await projectedGradient(evaluate, COPY);
    expect(losses[1]!).toBeGreaterThan(losses[0]!);
    expect(loss).toBeLessThan(0.01 * losses[0]!);
  });

  it('leaves a coefficient alone that moves nothing, and ends where no slope is left', async () => {
    const minimum = pairs([1.1, -0.5], [0.8, -0.5]);
    const preconditioner = pairs([1, 0], [1, 0]);
    const evaluate = parabola(minimum, pairs([1, 0], [1, 0]));
    const { values, losses } = await projectedGradient(evaluate, COPY, { preconditioner, steps: 20 });
    expect(losses.length).toBeLessThan(20);
    for (const { beta } of values.values()) expect(beta).toBe(0);
  });

  it('refuses a start outside the bounds or without a loss, and stops when aborted', async () => {
    const evaluate = parabola(COPY, COPY);
    await expect(projectedGradient(evaluate, pairs([1, 0], [2, 0]))).rejects.toThrow(
      "start's alpha is 2, expected a number from 0 to 1.5",
    );
    await expect(projectedGradient(async () => ({ loss: NaN, slopes: COPY }), COPY)).rejects.toThrow(
      'loss at the start is NaN',
    );
    await expect(projectedGradient(evaluate, COPY, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  });
});
