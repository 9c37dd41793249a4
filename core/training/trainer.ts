import { adamwInit, adamwUpdate, DEFAULT_ADAMW, type AdamwState, type Arrays } from './optimizer/adamw.ts';
import { clipGlobalNorm } from './optimizer/clipping.ts';
import { factorArrays, withFactorArrays } from './optimizer/factors.ts';
import { schedule, type Schedule } from './optimizer/schedules.ts';
import type { Dropout, Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import {
  anchorOf,
  l2Coefficient,
  NO_REGULARIZATION,
  withL2Gradients,
  type RegularizationOptions,
} from '../method/regularization/regularization.ts';
import type { TokenizedExample } from '../data/example.ts';
import { breathe } from '../data/forward-passes.ts';
import { accumulateGradients } from './gradients.ts';
import { LossMonitor } from './loss-monitor.ts';
import type { TrainerState } from './trainer-state.ts';
import { TrainingSampler } from './training-sampler.ts';

export interface TrainOptions {
  readonly runtime: Runtime;
  /** Where training starts; not written to. */
  readonly initial: Adapter;
  readonly examples: readonly TokenizedExample[];
  /** Optimizer steps of the whole run; the learning rate's schedule ends with them. */
  readonly steps: number;
  /** Examples of one optimizer step. */
  readonly batchSize: number;
  /** Input tokens that go through the model at once; default `MICRO_BATCH_TOKENS`. */
  readonly microBatchTokens?: number;
  /** At the end of the warm-up; a cosine takes it to zero. */
  readonly learningRate: number;
  /** Default 6 % of the steps. */
  readonly warmupSteps?: number;
  /** Clipping threshold of the gradients' global norm. Default 1. */
  readonly maxGradientNorm?: number;
  /** Decoupled (AdamW). Default 0.01. */
  readonly weightDecay?: number;
  /** L2 towards the initial adapter or zero. Default none. */
  readonly regularization?: RegularizationOptions;
  readonly seed: number;
  /** Goes on from here; everything else must be as it was. */
  readonly resume?: TrainerState;
  /** Looked at before every micro-batch; the run then rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Awaited after every step; `stop` ends the run there. */
  readonly afterStep?: (report: StepReport) => Promise<'continue' | 'stop'> | 'continue' | 'stop';
}

/** Where a run stands after a step. */
export interface StepReport {
  /** Steps done. */
  readonly step: number;
  /** Mean loss of the step's completion tokens, in nats, before its update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Before clipping, regularization included. */
  readonly gradientNorm: number;
  readonly adapter: Adapter;
  /** Enough to go on from here, bit by bit; the next step changes its moments in place: copy what is kept longer. */
  readonly state: TrainerState;
}

export interface TrainResult {
  readonly adapter: Adapter;
  readonly steps: number;
  /** Mean over the last steps (20 at most), in nats a completion token. */
  readonly trainLoss: number;
  /** Input tokens. */
  readonly tokens: number;
  /** Of the steps alone: what `afterStep` does is not in it. */
  readonly seconds: number;
}

/**
 * Trains an adapter: AdamW with warm-up and cosine, gradients averaged over the completion tokens of a batch, plus those of
 * the regularization, clipped by their global norm. The adapter's dropout acts in training alone.
 * @throws TrainingDivergedError naming step and learning rate
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { runtime, initial, examples, steps, batchSize, signal, regularization = NO_REGULARIZATION } = options;
  const anchor = anchorOf(regularization, initial);
  const learningRateAt = learningRateSchedule(options);
  const sampler = new TrainingSampler(examples.length, { batchSize, seed: options.seed });
  const monitor = new LossMonitor(runtime.base.config.vocabSize, options.resume?.losses);
  let parameters: Arrays = options.resume?.parameters ?? factorArrays(initial.modules);
  let optimizer: AdamwState = options.resume?.optimizer ?? adamwInit(parameters);
  let { tokens, seconds } = options.resume ?? { tokens: 0, seconds: 0 };
  if (options.resume) sampler.restore(options.resume.sampler);

  for (let step = optimizer.step; step < steps; step++) {
    const begun = performance.now();
    const learningRate = learningRateAt(step);
    const adapter = withFactorArrays(initial, parameters);
    const members = sampler.next().map((index) => examples[index]!);
    const dropout = dropoutOf(options, step);
    const batch = await accumulateGradients(runtime, adapter, members, { ...options, dropout });
    monitor.record(batch.loss, { step: step + 1, learningRate });

    const penalty = { lambda: l2Coefficient(regularization, step, steps), space: regularization.space, anchor };
    const gradients = factorArrays(withL2Gradients(batch.gradients, adapter, penalty));
    const gradientNorm = clipGlobalNorm(gradients, options.maxGradientNorm ?? 1);
    const weightDecay = options.weightDecay ?? DEFAULT_ADAMW.weightDecay;
    const updated = adamwUpdate({ parameters, state: optimizer }, gradients, learningRate, { weightDecay });
    ({ parameters, state: optimizer } = updated);
    tokens += batch.tokens;
    seconds += (performance.now() - begun) / 1000;

    const state: TrainerState = {
      parameters,
      optimizer,
      sampler: sampler.state(),
      losses: monitor.state(),
      tokens,
      seconds,
    };
    const verdict = await options.afterStep?.({
      step: step + 1,
      loss: batch.loss,
      learningRate,
      gradientNorm,
      adapter: withFactorArrays(initial, parameters),
      state,
    });
    if (verdict === 'stop') break;
    await breathe();
    signal?.throwIfAborted();
  }
  const adapter = withFactorArrays(initial, parameters);
  return { adapter, steps: optimizer.step, trainLoss: monitor.recent(), tokens, seconds };
}

/** The adapter's own, with random numbers that follow from the run's seed and the step. */
function dropoutOf({ initial, seed }: TrainOptions, step: number): Dropout | undefined {
  const rate = initial.config.dropout ?? 0;
  return rate === 0 ? undefined : { rate, seed: (Math.abs(seed) % 2 ** 20) * 2 ** 32 + step * 2 ** 10 };
}

function learningRateSchedule({ learningRate: peak, steps, warmupSteps }: TrainOptions): Schedule {
  return schedule({ kind: 'cosine', peak, steps, warmupSteps: warmupSteps ?? Math.ceil(0.06 * steps) });
}
