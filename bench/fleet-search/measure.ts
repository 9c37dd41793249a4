import type { Adapter } from '../../core/models/lora/adapter.ts';
import { COPY, type Coefficients } from '../../core/method/fusion/coefficients.ts';
import { searchCoefficients } from '../../core/method/search/coefficient-search.ts';
import type { SearchEvaluation, SearchOptions } from '../../core/method/search/search-task.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import type { FleetSearches } from '../../core/method/search/fleet-prior.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { meanLoss } from '../../core/data/evaluation.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import { train } from '../../core/training/trainer.ts';
import type { Tenant } from './workload.ts';

export interface SearchRun {
  readonly alpha: number;
  readonly beta: number;
  /** Points, forward passes of rows and milliseconds (fusion included) that the search took. */
  readonly points: number;
  readonly rows: number;
  readonly ms: number;
  /** Milliseconds of the search besides evaluations: the model. */
  readonly modelMs: number;
  readonly stopped: string;
  /** Loss of what was found on the held-out rows, as a share of copy's. */
  readonly heldLoss: number;
  readonly history: readonly SearchEvaluation[];
}

export interface SearchCase {
  readonly tenant: Tenant;
  readonly adapter: Adapter;
  readonly next: LoadedBase;
  readonly evolution: Evolution;
  readonly options: SearchOptions;
}

/** One search from its beginning: what the fusion prepares once for an adapter is in its time. */
export async function search(
  { tenant, adapter, next, evolution, options }: SearchCase,
  fleet: FleetSearches,
): Promise<SearchRun> {
  const history: SearchEvaluation[] = [];
  const begun = performance.now();
  let fusion: Fusion | undefined;
  const fuse = ({ alpha, beta }: { alpha: number; beta: number }): Adapter =>
    beta === 0 && alpha === 1 ? adapter : (fusion ??= new Fusion(adapter, evolution)).at({ alpha, beta });
  const found = await searchCoefficients({
    options,
    seed: tenant.seed,
    signal: new AbortController().signal,
    history: [],
    rowTokens: tenant.search.map(({ completionIds }) => completionIds.length),
    fleet,
    fuse,
    rowLosses: async (candidate, rows) =>
      (
        await meanLoss(
          next.runtime,
          candidate,
          rows.map((row) => tenant.search[row]!),
        )
      ).perExample,
    onEvaluation: async (evaluation) => void history.push(evaluation),
    now: () => performance.now(),
  });
  const total = performance.now() - begun;
  const ms = history.reduce((sum, evaluation) => sum + evaluation.ms, 0);
  const held = async (candidate: Adapter): Promise<number> =>
    (await meanLoss(next.runtime, candidate, tenant.held)).value;
  return {
    alpha: found.alpha,
    beta: found.beta,
    points: new Set(history.map(({ alpha, beta }) => `${alpha} ${beta}`)).size,
    rows: history.reduce((sum, { rowLosses }) => sum + rowLosses.length, 0),
    ms: total,
    modelMs: total - ms,
    stopped: found.stopped,
    heldLoss: (await held(fuse(found))) / (await held(fuse(COPY))),
    history,
  };
}

export interface StepFigures {
  /** Share of the search rows' loss that a step of the first `steps` takes away. */
  readonly gain: number;
  /** What a row costs in a training step, in forward passes of a row. */
  readonly passes: number;
}

/** What a training step gains and costs, for the search's stopping rule, from fused coefficients on. */
export async function measureStep(
  { tenant, adapter: old, next, evolution }: SearchCase,
  from: Coefficients,
  { steps = 20, batchSize = 16, learningRate = 5e-4 } = {},
): Promise<StepFigures> {
  const adapter = new Fusion(old, evolution).at(from);
  const before = (await meanLoss(next.runtime, adapter, tenant.search)).value;
  const begun = performance.now();
  await meanLoss(next.runtime, adapter, tenant.search);
  const rowMs = (performance.now() - begun) / tenant.search.length;
  const { runtime } = next;
  const options = { runtime, initial: adapter, examples: tenant.training, batchSize, learningRate, seed: tenant.seed };
  // As the product has it: the rate falls over a whole run, of which these are the first steps.
  let trained: Adapter = adapter;
  let seconds = 0;
  await train({
    ...options,
    steps: 300,
    afterStep: ({ step, adapter: now, state }) => {
      [trained, seconds] = [now, state.seconds];
      return step === steps ? 'stop' : 'continue';
    },
  });
  const after = (await meanLoss(next.runtime, trained, tenant.search)).value;
  return { gain: 1 - (after / before) ** (1 / steps), passes: (1000 * seconds) / (steps * batchSize * rowMs) };
}
