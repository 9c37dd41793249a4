/**
 * Computes losses or gradients of several batches, one after the other, and prints for each of them the peak resident
 * set and the planned memory, in bytes, as JSON. The first argument has the cases as JSON.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { jobMemory, planMemory, type MemoryNeeds } from '../../../../core/adaptation/setup/memory-plan.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { activationBytes, adaptedWidths, recomputeWithin } from '../../../../core/engine/memory/activation-memory.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from '../../../unit/engine/support/random-model.ts';
import { collectGarbage } from '../../../garbage.ts';
import type { FoundPeak, PeakCase } from '../peaks.test.ts';

const cases = JSON.parse(process.argv[2]!) as readonly PeakCase[];
const found: FoundPeak[] = [];
/** Latest random base and its sizes as JSON: consecutive cases of equal sizes share it. */
let latest: { readonly sizes: string; readonly base: BaseModel } | null = null;
for (const each of cases) found.push(await measure(each));
console.log(JSON.stringify(found));

async function measure(peakCase: PeakCase): Promise<FoundPeak> {
  const { rows, tokens, labels, kind, dropout, memory = Infinity, int8 } = peakCase;
  beginPeak();
  const { runtime, adapter, close } = int8 ? await openInt8(peakCase, int8) : openFloat32(peakCase);
  const batch = randomBatch(runtime.base, Array<number>(rows).fill(tokens), labels);
  if (kind === 'gradients') await runtime.gradients(adapter, batch, 1, dropout ? { rate: 0.1, seed: 1 } : undefined);
  else await runtime.labelLosses(adapter, batch);
  await close();
  const peak = readPeak();

  const options = { config: runtime.base.config, adapted: adaptedWidths(adapter, dropout) };
  const sizes = { tokens: rows * tokens, longest: tokens, labels: rows * labels };
  const recompute = recomputeWithin(memory, options, sizes);
  const { reserved, comparison } = planMemory(needsOf(peakCase, runtime.base, adapter));
  const computed = activationBytes({ ...options, kind, recompute }, sizes);
  return { peak, planned: reserved + (int8?.isFirst ? Math.max(computed, comparison) : computed), recompute };
}

/** Lets the process's peak resident set count from now on. */
function beginPeak(): void {
  collectGarbage();
  writeFileSync('/proc/self/clear_refs', '5');
}

function readPeak(): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

interface Opened {
  readonly runtime: Runtime;
  readonly adapter: Adapter;
  readonly close: () => Promise<void>;
}

function openFloat32(peakCase: PeakCase): Opened {
  const base = baseOf(peakCase);
  const runtime = new CompiledRuntime(base, { threads: 2, activationBytes: peakCase.memory ?? Infinity });
  return { runtime, adapter: adapterOf(peakCase, base), close: () => runtime.dispose() };
}

function baseOf({ config }: PeakCase): BaseModel {
  const sizes = JSON.stringify(config);
  if (latest?.sizes === sizes) return latest.base;
  latest = null;
  const base = randomBase(config);
  latest = { sizes, base };
  return base;
}

/**
 * Opens a base in int8. On its first load it is compared with float32, for which it gets as much memory as is planned.
 */
async function openInt8(peakCase: PeakCase, int8: NonNullable<PeakCase['int8']>): Promise<Opened> {
  const { folder, cache, isFirst } = int8;
  let limit = Infinity;
  const memory = () => ({ bytes: limit, source: 'a test' });
  const bases = new BaseCache({ precision: 'int8', threads: 2, graphCacheDir: cache, memory });
  const { config } = await bases.describe(folder);
  const needs = needsOf(peakCase, { config }, adapterOf(peakCase, { config }));
  const plan = planMemory(needs);
  if (isFirst) limit = plan.total;
  bases.memory.reserve(jobMemory(plan, needs));
  const { runtime, model } = await bases.load(folder);
  if (!isFirst) runtime.activationBytes = peakCase.memory ?? Infinity;
  return { runtime, adapter: adapterOf(peakCase, model), close: () => bases.dispose() };
}

function adapterOf({ rank, dora }: PeakCase, base: Pick<BaseModel, 'config'>): Adapter {
  const lora = randomAdapter(base, () => rank);
  return dora ? asDora(lora) : lora;
}

function needsOf(peakCase: PeakCase, { config }: Pick<BaseModel, 'config'>, adapter: Adapter): MemoryNeeds {
  const { tokens, labels, kind, int8 } = peakCase;
  const row = { tokens, labels };
  const precision = int8 ? 'int8' : 'f32';
  const trained = kind === 'gradients' ? [row] : [];
  return { config, precision, adapter, evolution: false, measured: [row], trained };
}
