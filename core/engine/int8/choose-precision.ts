import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { sizeOf } from '../graph/graph.ts';
import { calibrationBatch, smallCalibrationBatch } from './calibration-batch.ts';
import { comparedPrograms, compareWithFloat32, LEAST_SPEED_UP } from './compare-with-float32.ts';
import { isLayerMatrix } from './inputs.ts';
import { describeErrors, tooInexact } from './int8-errors.ts';
import { Int8Engine, type Int8EngineOptions } from './int8-engine.ts';
import {
  keepSpeedUp,
  keepVerdict,
  keptSpeedUp,
  keptVerdict,
  type Comparison,
  type PrecisionChoice,
  type Verdict,
} from './precision-choice.ts';
import type { ProvidedProgram } from '../tracer/tracing-thread.ts';

/** Bases with fewer weights in their layers' matrices gain little (docs/devices.md), so nothing is measured. */
const SMALLEST_BASE = 16e6;

export interface ChoiceOptions extends Int8EngineOptions {
  readonly tokenizer: Tokenizer;
}

/** A choice, with the engine that computes in int8 if that was chosen. The engine belongs to the caller. */
export interface Chosen {
  readonly choice: PrecisionChoice;
  readonly engine: Int8Engine | null;
}

/**
 * Chooses int8 where it is measurably faster on this machine, and its losses and gradients on a fixed set of texts are near
 * those of float32, and float32 otherwise.
 */
export async function choosePrecision(options: ChoiceOptions): Promise<Chosen> {
  const small = tooSmall(options.base.config);
  if (small !== null) return { choice: { precision: 'f32', reason: small, warning: null }, engine: null };
  const { verdict, engine } = await judge(options);
  const [reason, objection] = [describe(verdict), tooInexact(verdict) ?? slownessOf(verdict)];
  if (objection === null)
    return { choice: { precision: 'int8', reason, warning: null }, engine: await kept(engine, verdict, options) };
  await engine?.dispose();
  return { choice: { precision: 'f32', reason: objection, warning: null }, engine: null };
}

/** Prepares int8, which was asked for. The choice has a warning where {@link choosePrecision} would not have chosen it. */
export async function int8Of(options: ChoiceOptions): Promise<Chosen> {
  const { verdict, engine } = await judge(options);
  const objection = tooInexact(verdict) ?? tooSmall(options.base.config) ?? slownessOf(verdict);
  const warning = objection && `int8 would not have been chosen: ${objection}`;
  const choice = { precision: 'int8', reason: 'asked for', warning } as const;
  return { choice, engine: await kept(engine, verdict, options) };
}

/** Returns what an earlier process has found out, or else finds it out; then there is an engine, too. */
async function judge(options: ChoiceOptions): Promise<{ verdict: Verdict; engine: Int8Engine | null }> {
  const { base, tokenizer, threads, cache } = options;
  const batch = calibrationBatch(tokenizer);
  const key = { fingerprint: base.fingerprint, inputIds: batch.inputIds, threads };
  const known = await keptVerdict(cache, key);
  if (known) return { verdict: known, engine: null };
  const speedKey = { config: base.config, inputIds: batch.inputIds, threads };
  const speedUp = await keptSpeedUp(cache, speedKey);
  const smallBatch = smallCalibrationBatch(tokenizer);
  const found = await compareWithFloat32({ ...options, batch, smallBatch, speedUp });
  await Promise.all([
    keepVerdict(cache, key, found.verdict),
    // A busy moment may be the reason why int8 was slow, so another base is to be measured again.
    found.verdict.speedUp >= LEAST_SPEED_UP && keepSpeedUp(cache, speedKey, found.verdict.speedUp),
  ]);
  return found;
}

/** The programs that preparing a base of this config runs unless all about it is known. */
export function expectedPrograms(config: ModelConfig, precision: 'auto' | 'int8'): ProvidedProgram[] {
  return precision === 'auto' && tooSmall(config) !== null ? [] : comparedPrograms(config);
}

async function kept(engine: Int8Engine | null, { smoothing }: Verdict, options: ChoiceOptions): Promise<Int8Engine> {
  const opened = engine ?? (await Int8Engine.open({ ...options, smoothing }));
  opened.rounded.readAhead('forward');
  opened.rounded.keep();
  return opened;
}

function tooSmall(config: ModelConfig): string | null {
  const size = layerWeights(config);
  return size < SMALLEST_BASE
    ? `${(size / 1e6).toFixed(1)} million weights in layers are too few for int8 to pay`
    : null;
}

function layerWeights(config: ModelConfig): number {
  const sizes = expectedWeights(config)
    .filter(({ name }) => isLayerMatrix(name))
    .map(({ shape }) => sizeOf(shape));
  return sizes.reduce((total, size) => total + size, 0);
}

function describe(found: Comparison): string {
  return `int8 is ${found.speedUp.toFixed(1)} times as fast and ${describeErrors(found)}`;
}

function slownessOf(found: Comparison): string | null {
  return found.speedUp < LEAST_SPEED_UP ? `${describe(found)}, expected at least ${LEAST_SPEED_UP} times` : null;
}
