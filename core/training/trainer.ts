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

/** Limit for the global norm of the gradients, which are clipped to it. */
const MAX_GRADIENT_NORM = 1;

export interface TrainOptions {
  readonly runtime: Runtime;
  /** Adapter that training starts from. It is not changed. */
  readonly initial: Adapter;
  readonly examples: readonly TokenizedExample[];
  /** Number of optimizer steps of the whole run, over which the learning rate is scheduled. */
  readonly steps: number;
  /** Number of examples in one optimizer step. */
  readonly batchSize: number;
  /** Largest number of input tokens in a micro-batch. Default: the budget of the runtime's device. */
  readonly microBatchTokens?: number;
  /** Peak learning rate, at the end of the warm-up. From there it follows a cosine to zero. */
  readonly learningRate: number;
  /** Default: 6 % of the steps. */
  readonly warmupSteps?: number;
  /** Decoupled weight decay, as in AdamW. Default: 0.01. */
  readonly weightDecay?: number;
  /** L2 regularization towards the initial adapter or zero. Default: none. */
  readonly regularization?: RegularizationOptions;
  /** Adapter that the regularization pulls towards, instead of the initial one. With `fused`, its rank may differ. */
  readonly anchor?: Adapter | undefined;
  readonly seed: number;
  /** State to resume from. All other options must be those of the interrupted run. */
  readonly resume?: TrainerState;
  /** Checked before every micro-batch. If it is aborted, the run rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Awaited after every step. `stop` ends the run. */
  readonly afterStep?: (report: StepReport) => Promise<'continue' | 'stop'> | 'continue' | 'stop';
}

/** Report of a step, and the state of the run after it. */
export interface StepReport {
  /** Number of steps done. */
  readonly step: number;
  /** Mean loss of the step's completion tokens before the update, in nats. */
  readonly loss: number;
  readonly learningRate: number;
  /** λ of the regularization in this step; 0 without one. */
  readonly regularization: number;
  readonly adapter: Adapter;
  /**
   * State from which the run resumes bit by bit. The next step changes the moments in place, so copy them to keep them
   * longer.
   */
  readonly state: TrainerState;
}

export interface TrainResult {
  readonly adapter: Adapter;
  readonly steps: number;
  /** Mean loss of the last steps (20 at most), in nats a completion token. */
  readonly trainLoss: number;
  /** Number of input tokens. */
  readonly tokens: number;
  /** Duration of the steps, excluding `afterStep`. */
  readonly seconds: number;
}

/**
 * Trains an adapter by AdamW with warm-up and a cosine schedule. The gradients are averaged over the completion tokens
 * of a batch, added to those of the regularization, and clipped by their global norm. The adapter's dropout is active
 * only in training.
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

/** Returns the adapter's dropout, with a seed that follows from those of the run and from the step. */
function dropoutOf({ initial, seed }: TrainOptions, step: number): Dropout | undefined {
  const rate = initial.config.dropout ?? 0;
  return rate === 0 ? undefined : { rate, seed: (Math.abs(seed) % 2 ** 20) * 2 ** 32 + step * 2 ** 10 };
}
