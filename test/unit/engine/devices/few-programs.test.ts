import { afterEach, expect, it, vi } from 'vitest';
import { exampleOf } from '../../../../core/data/example.ts';
import { makeBatch } from '../../../../core/data/batching.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import * as ort from '../../../../core/engine/compiled/onnx-runtime.ts';
import { CPU_PROVIDER } from '../../../../core/engine/devices/execution-provider.ts';
import { EagerRuntime } from '../../../../core/engine/eager/eager-runtime.ts';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import { largestDifference } from '../support/numeric.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';
import { everyModule } from '../support/variations.ts';

/** The CPU, with sessions that keep the base's weights as a GPU's do. */
const KEEPING = { ...CPU_PROVIDER, keepsWeights: true };

const opened = disposeAfterEach();
afterEach(() => vi.restoreAllMocks());

const row = (prompt: number[], completion: number[]) => exampleOf(prompt, completion, { prompt: '', completion: '' });
/** Two rows with a common beginning; those of {@link APART} have none. */
const SHARING = makeBatch([row([1, 2, 3], [4]), row([1, 2, 5], [6])]);
const APART = makeBatch([row([1, 2, 3], [4]), row([7, 8], [9])]);

/** Counts the sessions that are open at a time. */
function watchSessions(): { created: number; open: number; mostOpen: number } {
  const seen = { created: 0, open: 0, mostOpen: 0 };
  const create = ort.InferenceSession.create.bind(ort.InferenceSession) as (...args: unknown[]) => Promise<never>;
  vi.spyOn(ort.InferenceSession, 'create').mockImplementation(async (...args: unknown[]) => {
    seen.created++;
    seen.mostOpen = Math.max(seen.mostOpen, ++seen.open);
    const session: ort.InferenceSession = await create(...args);
    const release = session.release.bind(session);
    session.release = () => (seen.open--, release());
    return session;
  });
  return seen;
}

it('a runtime whose sessions keep the base trains and evaluates any batch with two of them', async () => {
  const sessions = watchSessions();
  const base = randomBase();
  const adapter = randomAdapter(base, everyModule);
  const runtime = opened(new CompiledRuntime(base, { threads: 1, provider: KEEPING }));
  const reference = opened(new EagerRuntime(base));
  for (const batch of [SHARING, APART, SHARING, APART]) {
    const [losses, expected] = [await runtime.labelLosses(adapter, batch), await reference.labelLosses(adapter, batch)];
    expect(largestDifference(losses, expected)).toBeLessThan(1e-4);
    const found = factorArrays((await runtime.gradients(adapter, batch, 1)).gradients);
    for (const [name, values] of factorArrays((await reference.gradients(adapter, batch, 1)).gradients))
      expect(largestDifference(found.get(name)!, values), name).toBeLessThan(1e-3);
  }
  expect(sessions).toEqual({ created: 2, open: 2, mostOpen: 2 });
});

it('a third program takes the place of the one that was used longest ago, which is released first', async () => {
  const sessions = watchSessions();
  const base = randomBase();
  const adapter = randomAdapter(base, everyModule);
  const runtime = opened(new CompiledRuntime(base, { threads: 1, provider: KEEPING }));
  await runtime.labelLosses(adapter, APART);
  await runtime.gradients(adapter, APART, 1);
  await runtime.labelLosses(null, APART);
  await runtime.gradients(adapter, APART, 1);
  expect(sessions).toEqual({ created: 3, open: 2, mostOpen: 2 });
});
