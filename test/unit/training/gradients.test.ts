import { describe, expect, it } from 'vitest';
import { exampleOf } from '../../../core/data/example.ts';
import { tokenBudgets } from '../../../core/engine/devices/token-budgets.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { accumulateGradients } from '../../../core/training/gradients.ts';
import { randomAdapter, randomBase } from '../engine/support/random-model.ts';
import { everyModule } from '../engine/support/variations.ts';

describe('the micro-batches of a step', () => {
  const base = randomBase();
  const adapter = randomAdapter(base, everyModule);

  /** Takes a step over rows of 100 tokens, and returns the tokens of each call to the runtime. */
  async function tokensOfCalls(rows: number, size: { readonly hiddenSize: number; readonly numLayers: number }) {
    const calls: number[] = [];
    const config = { ...base.config, ...size };
    const runtime = {
      base: { ...base, config },
      tokenBudgets: tokenBudgets('cpu', config),
      gradients: (_adapter: unknown, { inputIds }: { readonly inputIds: Int32Array }) => {
        calls.push(inputIds.length);
        return Promise.resolve({ lossSum: 1, gradients: new Map() });
      },
    } as unknown as Runtime;
    const row = exampleOf(Array<number>(100).fill(1), [2], { prompt: '', completion: '' });
    await accumulateGradients(runtime, adapter, Array(rows).fill(row) as (typeof row)[]);
    return calls;
  }

  it('are larger for a small base, up to 768 tokens, and smaller for a large one, down to 384', async () => {
    expect(await tokensOfCalls(7, { hiddenSize: 64, numLayers: 2 })).toEqual([700]);
    expect(await tokensOfCalls(7, { hiddenSize: 576, numLayers: 30 })).toEqual([700]);
    expect(await tokensOfCalls(6, { hiddenSize: 4096, numLayers: 32 })).toEqual([300, 300]);
  });

  it('are of about equal size', async () => {
    expect(await tokensOfCalls(8, { hiddenSize: 576, numLayers: 30 })).toEqual([400, 400]);
    expect(await tokensOfCalls(4, { hiddenSize: 4096, numLayers: 32 })).toEqual([200, 200]);
  });
});
