/**
 * Computes losses or gradients of one batch and prints the largest size of its resident set and what the plan says, in
 * bytes, as JSON. The case comes as JSON in the first argument.
 */
import { readFileSync } from 'node:fs';
import { planMemory } from '../../../../core/adaptation/setup/memory-plan.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { activationBytes, adaptedWidths, recomputeWithin } from '../../../../core/engine/memory/activation-memory.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from './random-model.ts';
import type { PeakCase } from '../memory/peaks.test.ts';

const { rows, tokens, labels, rank, kind, dora, dropout, memory, config } = JSON.parse(process.argv[2]!) as PeakCase;
const base = randomBase(config);
const lora = randomAdapter(base, () => rank);
const adapter = dora ? asDora(lora) : lora;
const activations = memory ?? Infinity;
const runtime = new CompiledRuntime(base, { threads: 2, activationBytes: activations });
const batch = randomBatch(base, Array<number>(rows).fill(tokens), labels);
if (kind === 'gradients') await runtime.gradients(adapter, batch, 1, dropout ? { rate: 0.1, seed: 1 } : undefined);
else await runtime.labelLosses(adapter, batch);
await runtime.dispose();

const options = { config: base.config, adapted: adaptedWidths(adapter, dropout) };
const sizes = { tokens: rows * tokens, longest: tokens, labels: rows * labels };
const recompute = recomputeWithin(activations, options, sizes);
const needs = { config: base.config, precision: 'f32', adapter, evolution: false } as const;
const row = { tokens, labels };
const { reserved } = planMemory({ ...needs, measured: [row], trained: kind === 'gradients' ? [row] : [] });
const planned = reserved + activationBytes({ ...options, kind, recompute }, sizes);
const peak = 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
console.log(JSON.stringify({ peak, planned, recompute }));
