import type { LoraFactors } from '../../core/models/lora/adapter.ts';
import type { Coefficients } from '../../core/method/fusion/coefficients.ts';
import type { ModuleEvolution } from '../../core/method/evolution/evolution.ts';
import type { ModuleFusion } from '../../core/method/fusion/module-fusion.ts';
import { relativeDifference, type BenchModule } from './workload.ts';

export type Prepare = (old: LoraFactors, change: ModuleEvolution) => Pick<ModuleFusion, 'at'>;

/** Milliseconds of one form in one round. */
export interface FormTimes {
  /** What is done once for an adapter. */
  readonly prepare: number;
  /** One pair of coefficients after that. */
  readonly point: number;
  /** Fusing one adapter: both. */
  readonly total: number;
  /** Processor time of both, of all threads of the process. */
  readonly cpu: number;
}

export interface Round {
  readonly ours: FormTimes;
  readonly stacked: FormTimes;
  /** ‖ours − stacked‖ / ‖stacked‖ over the fused products of all modules. */
  readonly difference: number;
}

export interface MeasureOptions {
  readonly modules: readonly BenchModule[];
  readonly ours: Prepare;
  readonly stacked: Prepare;
  readonly coefficients: Coefficients;
  readonly rounds: number;
}

/** Both forms in each round, the first of a round in turns; one round before them warms up and is not returned. */
export function measureRounds({ modules, ours, stacked, coefficients, rounds }: MeasureOptions): Round[] {
  const measured: Round[] = [];
  for (let round = 0; round <= rounds; round++) {
    const run = {
      ours: () => fuseAll(modules, ours, coefficients),
      stacked: () => fuseAll(modules, stacked, coefficients),
    };
    const first = round % 2 === 0 ? run.ours() : null;
    const peer = run.stacked();
    const own = first ?? run.ours();
    measured.push({ ours: own.times, stacked: peer.times, difference: relativeDifference(own.factors, peer.factors) });
  }
  return measured.slice(1);
}

function fuseAll(modules: readonly BenchModule[], prepare: Prepare, coefficients: Coefficients) {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const prepared = modules.map(({ old, change }) => prepare(old, change));
  const between = performance.now();
  const factors = prepared.map((module) => module.at(coefficients).factors);
  const ended = performance.now();
  const { user, system } = process.cpuUsage(cpu);
  const times = { prepare: between - begun, point: ended - between, total: ended - begun, cpu: (user + system) / 1000 };
  return { factors, times };
}
