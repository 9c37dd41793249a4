import { setImmediate } from 'node:timers/promises';
import type { TokenizedExample } from '../data/example.ts';
import type { Dropout, Runtime } from '../engine/runtime.ts';
import {
  anchorOf,
  l2Coefficient,
  NO_REGULARIZATION,
  withL2Gradients,
  type RegularizationOptions,
} from '../method/regularization/regularization.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { accumulateGradients } from './gradients.ts';
import { LossMonitor } from './loss-monitor.ts';
import { adamwInit, adamwUpdate, DEFAULT_ADAMW, type AdamwState, type Arrays } from './optimizer/adamw.ts';
import { clipGlobalNorm } from './optimizer/clipping.ts';
import { cosineSchedule } from './optimizer/cosine-schedule.ts';
import { factorArrays, withFactorArrays } from './optimizer/factors.ts';
import type { TrainerState } from './trainer-state.ts';
import { TrainingSampler } from './training-sampler.ts';

/** Largest norm of all gradients together; larger gradients are scaled down to it. */
const MAX_GRADIENT_NORM = 1;

export interface TrainOptions {
  readonly runtime: Runtime;
  /** Adapter that training starts from. It stays unchanged. */
  readonly initial: Adapter;
  readonly examples: readonly TokenizedExample[];
  /** Number of optimizer steps of the whole run, by which the learning rate is scheduled. */
  readonly steps: number;
  /** Number of examples in one optimizer step. */
  readonly batchSize: number;
  /**
   * Largest number of input tokens in a micro-batch, one of the parts in which a step is computed. Default: the budget
   * of the runtime's device.
   */
  readonly microBatchTokens?: number;
  /**
   * Learning rate at the end of the warm-up, the largest of the run. From there it follows half a cosine down to zero.
   */
  readonly learningRate: number;
  /** Number of first steps in which the learning rate grows. Default: 6 % of all steps. */
  readonly warmupSteps?: number;
  /** Weight decay of AdamW, decoupled from the gradients. Default: 0.01. */
  readonly weightDecay?: number;
  /** Settings of the L2 penalty, which pulls the adapter towards other values. Default: no penalty. */
  readonly regularization?: RegularizationOptions;
  /**
   * Adapter towards which the L2 penalty pulls the trained adapter. Default: the initial adapter or zero, depending on
   * `regularization`. For a pull towards `fused`, the ranks of the two adapters may differ.
   */
  readonly anchor?: Adapter | undefined;
  readonly seed: number;
  /** State of an interrupted run to resume from. All other options must be those of that run. */
  readonly resume?: TrainerState;
  /**
   * Signal for an abort, checked before every micro-batch and after every step. The run then rejects with the signal's
   * reason.
   */
  readonly signal?: AbortSignal;
  /** Called after every step; the next step waits for the answer. `stop` ends the run. */
  readonly afterStep?: (report: StepReport) => Promise<'continue' | 'stop'> | 'continue' | 'stop';
}

/** Report of one step of a training: its loss and rates, and the adapter and state after it. */
export interface StepReport {
  /** Number of steps taken, this one included. */
  readonly step: number;
  /** Mean loss of the step's completion tokens before the adapter was updated, in nats a token. */
  readonly loss: number;
  readonly learningRate: number;
  /** Coefficient λ of the L2 penalty in this step; 0 without a penalty. */
  readonly regularization: number;
  readonly adapter: Adapter;
  /**
   * State from which the run resumes with exactly the same results. The next step changes the optimizer's running means
   * in place, so copy them to keep them longer.
   */
  readonly state: TrainerState;
}

export interface TrainResult {
  readonly adapter: Adapter;
  readonly steps: number;
  /** Mean loss of the last 20 steps, or of all if there were fewer, in nats a completion token. */
  readonly trainLoss: number;
  /** Number of input tokens that all steps have processed. */
  readonly tokens: number;
  /** Seconds that all steps have taken, without the time spent in `afterStep`. */
  readonly seconds: number;
}

/**
 * Trains an adapter by AdamW, with a warm-up and a cosine schedule of the learning rate. In each step, the gradients of
 * the mean loss over the batch's completion tokens are added to those of the L2 penalty, and clipped by the norm of all
 * of them. The dropout in the adapter's configuration is active only in training.
 * @throws TrainingDivergedError, which names step and learning rate
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { runtime, initial, examples, steps, batchSize, signal, regularization = NO_REGULARIZATION } = options;
  const anchor = options.anchor ?? anchorOf(regularization, initial);
  const { learningRate: peak, warmupSteps = Math.ceil(0.06 * steps) } = options;
  const learningRateAt = cosineSchedule({ peak, steps, warmupSteps });
  const sampler = new TrainingSampler(examples, { batchSize, seed: options.seed });
  const monitor = new LossMonitor(runtime.base.config.vocabSize, options.resume?.losses);
  let parameters: Arrays = options.resume?.parameters ?? factorArrays(initial.modules);
  let optimizer: AdamwState = options.resume?.optimizer ?? adamwInit(parameters);
  let { tokens, seconds } = options.resume ?? { tokens: 0, seconds: 0 };
  if (options.resume) sampler.restore(options.resume.sampler);

  for (let step = optimizer.step; step < steps; step++) {
    const begun = performance.now();
    const learningRate = learningRateAt(step);
    const adapter = withFactorArrays(initial, parameters);
    const dropout = dropoutOf(options, step);
    const batch = await accumulateGradients(runtime, adapter, sampler.next(), { ...options, dropout });
    monitor.record(batch.loss, { step: step + 1, learningRate });

    const { towards } = regularization;
    const penalty = { lambda: l2Coefficient(regularization, step, steps), towards, anchor };
    const gradients = factorArrays(withL2Gradients(batch.gradients, adapter, penalty));
    clipGlobalNorm(gradients, MAX_GRADIENT_NORM);
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
      regularization: penalty.lambda,
      adapter: withFactorArrays(initial, parameters),
      state,
    });
    if (verdict === 'stop') break;
    await setImmediate();
    signal?.throwIfAborted();
  }
  const adapter = withFactorArrays(initial, parameters);
  return { adapter, steps: optimizer.step, trainLoss: monitor.recent(), tokens, seconds };
}

/**
 * Returns the dropout that the adapter's configuration asks for, with a seed that follows from the run's seed and the
 * step; undefined for a rate of 0.
 */
function dropoutOf({ initial, seed }: TrainOptions, step: number): Dropout | undefined {
  const rate = initial.config.dropout ?? 0;
  return rate === 0 ? undefined : { rate, seed: (Math.abs(seed) % 2 ** 20) * 2 ** 32 + step * 2 ** 10 };
}
