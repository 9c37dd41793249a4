import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { calibrationBatch, smallCalibrationBatch } from './calibration-batch.ts';
import { comparedPrograms, compareWithFloat32, MIN_SPEED_UP } from './compare-with-float32.ts';
import { describeErrors, tooInexact } from './int8-errors.ts';
import { Int8Engine, type Int8EngineOptions } from './int8-engine.ts';
import { isTooSmall, layerWeights } from './layer-weights.ts';
import {
  cacheSpeedUp,
  cacheVerdict,
  cachedSpeedUp,
  cachedVerdict,
  type Comparison,
  type PrecisionChoice,
  type Int8Verdict,
} from './precision-choice.ts';
import type { ProvidedProgram } from '../tracer/tracing-thread.ts';

export interface PrecisionChoiceOptions extends Int8EngineOptions {
  readonly tokenizer: Tokenizer;
  /**
   * Whether the base's float32 matrices stay in memory until its precision is chosen. Default: whether enough memory is
   * free for them.
   */
  readonly holdsMatrices?: boolean | undefined;
  /** Whether the process's memory suffices to compute with the base in float32. Default: true. */
  readonly holdsFloat32?: boolean;
}

/** Chosen precision and, if that is int8, the engine that computes in it. The caller owns the engine. */
export interface Chosen {
  readonly choice: PrecisionChoice;
  readonly engine: Int8Engine | null;
}

const NO_MEMORY = 'float32 would be chosen, but does not fit into the memory';

/**
 * Chooses int8 if it is measurably faster on this machine and its losses on a fixed set of texts are close to those of
 * float32, or if the memory does not suffice for float32; otherwise chooses float32. The errors of gradients are not
 * measured here; callers that need gradients check them themselves.
 */
export async function choosePrecision(options: PrecisionChoiceOptions): Promise<Chosen> {
  const small = tooSmall(options.base.config);
  if (small !== null) return { choice: { precision: 'f32', reason: small, warning: null }, engine: null };
  const { verdict, engine } = await judge(options);
  const [reason, objection] = [describe(verdict), tooInexact(verdict) ?? slownessOf(verdict)];
  const choose = async (choice: Omit<PrecisionChoice, 'precision'>): Promise<Chosen> => {
    return { choice: { precision: 'int8', ...choice }, engine: await publishedEngine(engine, verdict, options) };
  };
  if (objection === null) return choose({ reason, warning: null });
  if (options.holdsFloat32 === false) return choose({ reason: NO_MEMORY, warning: `${NO_MEMORY}: ${objection}` });
  await engine?.dispose();
  return { choice: { precision: 'f32', reason: objection, warning: null }, engine: null };
}

/**
 * Makes an int8 engine because int8 was requested. The choice carries a warning if {@link choosePrecision} would have
 * chosen float32.
 */
export async function int8Of(options: PrecisionChoiceOptions): Promise<Chosen> {
  const { verdict, engine } = await judge(options);
  const objection = tooInexact(verdict) ?? tooSmall(options.base.config) ?? slownessOf(verdict);
  const warning = objection && `int8 would not have been chosen: ${objection}`;
  const choice = { precision: 'int8', reason: 'asked for', warning } as const;
  return { choice, engine: await publishedEngine(engine, verdict, options) };
}

/**
 * Returns the verdict on int8 that an earlier process has cached, and no engine. If there is none, compares int8 with
 * float32, and also returns the engine that was compared.
 */
async function judge(options: PrecisionChoiceOptions): Promise<{ verdict: Int8Verdict; engine: Int8Engine | null }> {
  const { base, tokenizer, threads, cache } = options;
  const batch = calibrationBatch(tokenizer);
  const key = { fingerprint: base.fingerprint, inputIds: batch.inputIds, threads };
  const known = await cachedVerdict(cache, key);
  if (known) return { verdict: known, engine: null };
  const speedKey = { config: base.config, inputIds: batch.inputIds, threads };
  const speedUp = await cachedSpeedUp(cache, speedKey);
  const smallBatch = smallCalibrationBatch(tokenizer);
  const found = await compareWithFloat32({ ...options, batch, smallBatch, speedUp });
  await Promise.all([
    cacheVerdict(cache, key, found.verdict),
    // int8 may be slow only because the machine is busy. Such a result is not cached, so another base is measured
    // again.
    found.verdict.speedUp >= MIN_SPEED_UP && cacheSpeedUp(cache, speedKey, found.verdict.speedUp),
  ]);
  return found;
}

/** Lists the programs that preparing a base of this config runs unless everything is cached. */
export function expectedPrograms(
  config: ModelConfig,
  precision: 'auto' | 'int8',
  holdsMatrices = true,
): ProvidedProgram[] {
  return precision === 'auto' && isTooSmall(config) ? [] : comparedPrograms(config, holdsMatrices);
}

async function publishedEngine(
  engine: Int8Engine | null,
  { smoothing }: Int8Verdict,
  options: PrecisionChoiceOptions,
): Promise<Int8Engine> {
  const opened = engine ?? (await Int8Engine.open({ ...options, smoothing }));
  opened.rounded.prefetch('forward');
  opened.rounded.publish();
  return opened;
}

function tooSmall(config: ModelConfig): string | null {
  if (!isTooSmall(config)) return null;
  return `${(layerWeights(config) / 1e6).toFixed(1)} million weights in layers are too few for int8 to pay`;
}

function describe(found: Comparison): string {
  return `int8 is ${found.speedUp.toFixed(1)} times as fast and ${describeErrors({ losses: found.losses })}`;
}

function slownessOf(found: Comparison): string | null {
  return found.speedUp < MIN_SPEED_UP ? `${describe(found)}, expected at least ${MIN_SPEED_UP} times` : null;
}
