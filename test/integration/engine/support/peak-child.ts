/**
 * Computes losses or gradients of one batch and prints its peak resident set and the planned memory, in bytes, as JSON.
 * The first argument has the case as JSON.
 */
import { readFileSync } from 'node:fs';
import { jobMemory, planMemory, type MemoryNeeds } from '../../../../core/adaptation/setup/memory-plan.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { activationBytes, adaptedWidths, recomputeWithin } from '../../../../core/engine/memory/activation-memory.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from '../../../unit/engine/support/random-model.ts';
import type { PeakCase } from '../peaks.test.ts';

const peakCase = JSON.parse(process.argv[2]!) as PeakCase;
const { rows, tokens, labels, rank, kind, dora, dropout, memory: activations = Infinity, int8 } = peakCase;

const opened = int8 ? await openInt8(int8) : openFloat32();
const { runtime, adapter } = opened;
const batch = randomBatch(runtime.base, Array<number>(rows).fill(tokens), labels);
if (kind === 'gradients') await runtime.gradients(adapter, batch, 1, dropout ? { rate: 0.1, seed: 1 } : undefined);
else await runtime.labelLosses(adapter, batch);
await opened.close();

const options = { config: runtime.base.config, adapted: adaptedWidths(adapter, dropout) };
const sizes = { tokens: rows * tokens, longest: tokens, labels: rows * labels };
const recompute = recomputeWithin(activations, options, sizes);
const { reserved, comparison } = planMemory(needsOf(runtime.base, adapter));
const computed = activationBytes({ ...options, kind, recompute }, sizes);
const planned = reserved + (int8?.isFirst ? Math.max(computed, comparison) : computed);
const peak = 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
console.log(JSON.stringify({ peak, planned, recompute }));

interface Opened {
  readonly runtime: Runtime;
  readonly adapter: Adapter;
  readonly close: () => Promise<void>;
}

function openFloat32(): Opened {
  const base = randomBase(peakCase.config);
  const runtime = new CompiledRuntime(base, { threads: 2, activationBytes: activations });
  return { runtime, adapter: adapterOf(base), close: () => runtime.dispose() };
}

/**
 * Opens a base in int8. On its first load it is compared with float32, for which it gets as much memory as is planned.
 */
async function openInt8({ folder, cache, isFirst }: NonNullable<PeakCase['int8']>): Promise<Opened> {
  let limit = Infinity;
  const memory = () => ({ bytes: limit, source: 'a test' });
  const bases = new BaseCache({ precision: 'int8', threads: 2, graphCacheDir: cache, memory });
  const { config } = await bases.describe(folder);
  const needs = needsOf({ config }, adapterOf({ config }));
  const plan = planMemory(needs);
  if (isFirst) limit = plan.total;
  bases.memory.reserve(jobMemory(plan, needs));
  const { runtime, model } = await bases.load(folder);
  if (!isFirst) runtime.activationBytes = activations;
  return { runtime, adapter: adapterOf(model), close: () => bases.dispose() };
}

function adapterOf(base: Pick<BaseModel, 'config'>): Adapter {
  const lora = randomAdapter(base, () => rank);
  return dora ? asDora(lora) : lora;
}

function needsOf({ config }: Pick<BaseModel, 'config'>, adapter: Adapter): MemoryNeeds {
  const row = { tokens, labels };
  const precision = int8 ? 'int8' : 'f32';
  const trained = kind === 'gradients' ? [row] : [];
  return { config, precision, adapter, evolution: false, measured: [row], trained };
}
