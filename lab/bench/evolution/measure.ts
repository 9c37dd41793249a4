import os from 'node:os';
import { withOnnxProducts } from '../../../core/engine/compiled/onnx-products.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { plainProducts, type MatrixProducts } from '../../../core/linalg/products.ts';
import { overallCapturedEnergy } from '../../../core/method/evolution/captured-energy.ts';
import { computeEvolution, type Evolution, type WeightSource } from '../../../core/method/evolution/evolution.ts';
import { evolutionBetweenFolders } from '../../../core/method/evolution/folder-evolution.ts';
import { REVERT } from '../../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../../core/method/fusion/fusion.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { Random } from '../../../core/statistics/random.ts';
import type { EvolutionBenchOptions } from './options.ts';

/** Tasks to time. A fused point is an adapter fused with one pair of coefficients, after the shared preparation. */
export const TASKS = ['evolution_from_folders', 'evolution_in_memory', 'fusion_prepared', 'fused_point'] as const;
export type TaskName = (typeof TASKS)[number];

export const SIDES = ['onnxruntime', 'javascript'] as const;
export type SideName = (typeof SIDES)[number];

export interface Timing {
  readonly round: number;
  readonly side: SideName;
  readonly task: TaskName;
  readonly ms: number;
  /** CPU time of all threads of the process. */
  readonly cpuMs: number;
}

export interface EvolutionBenchDocument {
  readonly command: string;
  readonly started: string;
  readonly base: string;
  readonly against: string;
  readonly rank: number;
  readonly rounds: number;
  readonly machine: { readonly cpu: string; readonly threads: number; readonly memory: number };
  /** One-minute load average before and after the run. */
  readonly load: readonly [number, number];
  readonly modules: number;
  readonly capturedEnergy: number;
  /** Highest resident set of the process, in bytes. */
  readonly peakMemory: number;
  readonly timings: readonly Timing[];
}

/** Measures all tasks on all sides, in turns within each round. */
export async function measureEvolution(
  options: EvolutionBenchOptions,
  log: (line: string) => void,
): Promise<EvolutionBenchDocument> {
  const { base, against, rank, rounds } = options;
  const [started, before] = [new Date().toISOString(), os.loadavg()[0] ?? 0];
  const loaded = options.memory ? [await loadBaseModel(base), await loadBaseModel(against)] : null;
  const timings: Timing[] = [];
  let evolution: Evolution | null = null;
  for (let round = 1; round <= rounds; round++) {
    for (const side of SIDES.slice(0, options.reference ? 2 : 1)) {
      await withProducts(side, async (products) => {
        const time = timer({ round, side }, timings, log);
        evolution = await time('evolution_from_folders', () => evolutionBetweenFolders(base, against, { products }));
        if (loaded) {
          const [from, to] = loaded.map(sourceOf) as [WeightSource, WeightSource];
          await time('evolution_in_memory', () => computeEvolution(from, to, { products }));
        }
        await measureFusion(time, evolution, rank, products);
      });
    }
  }
  return {
    command: ['npm run bench:evolution --', ...process.argv.slice(2)].join(' '),
    started,
    base,
    against,
    rank,
    rounds,
    machine: {
      cpu: os.cpus()[0]?.model.trim() ?? 'unknown CPU',
      threads: os.availableParallelism(),
      memory: os.totalmem(),
    },
    load: [before, os.loadavg()[0] ?? 0],
    modules: evolution!.modules.size,
    capturedEnergy: overallCapturedEnergy(evolution!),
    peakMemory: process.resourceUsage().maxRSS * 1024,
    timings,
  };
}

function withProducts<T>(side: SideName, use: (products: MatrixProducts) => Promise<T>): Promise<T> {
  return side === 'onnxruntime' ? withOnnxProducts(use) : use(plainProducts);
}

type Timer = <T>(task: TaskName, run: () => Promise<T>) => Promise<T>;

function timer(of: Pick<Timing, 'round' | 'side'>, timings: Timing[], log: (line: string) => void): Timer {
  return async (task, run) => {
    const [begun, cpu] = [performance.now(), process.cpuUsage()];
    const result = await run();
    const ms = performance.now() - begun;
    const { user, system } = process.cpuUsage(cpu);
    timings.push({ ...of, task, ms, cpuMs: (user + system) / 1000 });
    log(`round ${of.round}, ${of.side}: ${task} ${ms.toFixed(0)} ms`);
    return result;
  };
}

/** Prepares an adapter and fuses three points, each of them timed. */
async function measureFusion(time: Timer, evolution: Evolution, rank: number, products: MatrixProducts): Promise<void> {
  const adapter = randomAdapter(evolution, rank);
  const fusion = await time('fusion_prepared', () => Fusion.prepare(adapter, evolution, { products }));
  for (const point of [REVERT, { alpha: 0.8, beta: -0.6 }, { alpha: 1.2, beta: 0.3 }]) {
    await time('fused_point', () => fusion.at(point));
  }
}

/** Makes a random adapter of every module, whose update is about as large as the change of the base. */
function randomAdapter({ modules }: Evolution, rank: number): Adapter {
  const random = Random.fromSeed(0);
  const factors = [...modules].map(([name, { outFeatures, inFeatures, deltaNorm }]) => {
    const size = Math.sqrt(deltaNorm / Math.sqrt(rank * outFeatures * inFeatures));
    const draw = (length: number) => Float32Array.from({ length }, () => size * random.normal());
    const shape = { rank, scaling: 1, outFeatures, inFeatures };
    return [name, { ...shape, a: draw(rank * inFeatures), b: draw(outFeatures * rank) }] as const;
  });
  const config = { rank, alpha: rank } as Adapter['config'];
  return { config, modules: new Map(factors) };
}

function sourceOf({ config, fingerprint, weights }: BaseModel): WeightSource {
  return { config, fingerprint, readWeight: (name) => Promise.resolve(weights.get(name)!) };
}
