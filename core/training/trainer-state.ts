import type { AdamwState, Arrays } from './optimizer/adamw.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { LossHistory } from './loss-monitor.ts';
import type { SamplerState } from './training-sampler.ts';

/**
 * State from which a training continues as if it had never stopped. The learning rate is not part of it, since it
 * follows from the step.
 */
export interface TrainerState {
  readonly parameters: Arrays;
  readonly optimizer: AdamwState;
  readonly sampler: SamplerState;
  readonly losses: LossHistory;
  /** Number of input tokens that the steps so far have processed. */
  readonly tokens: number;
  /** Seconds that the steps so far have taken. */
  readonly seconds: number;
}

/** JSON part of the checkpoint that {@link encodeTrainerState} makes of a training's state. */
interface EncodedState extends Omit<TrainerState, 'parameters' | 'optimizer'> {
  readonly step: number;
}

/**
 * Converts the state of a training to a checkpoint: numbers become JSON; parameters and the optimizer's running means
 * become tensors.
 */
export function encodeTrainerState(state: TrainerState): Checkpoint {
  const { parameters, optimizer, sampler, losses, tokens, seconds } = state;
  const groups = { parameters, mean: optimizer.mean, variance: optimizer.variance };
  const tensors = Object.entries(groups).flatMap(([group, arrays]) =>
    [...arrays].map(([name, data]) => [`${group}/${name}`, data] as const),
  );
  const json: EncodedState = { step: optimizer.step, sampler, losses, tokens, seconds };
  return { state: json, tensors: new Map(tensors) };
}

/**
 * Restores the state of a training from a checkpoint that {@link encodeTrainerState} has made.
 * @param names names of the parameters in the adapter's order. They are restored in this order, because rounding in
 * sums over them must not depend on the order in a file
 * @throws RangeError if the checkpoint lacks a tensor
 */
export function decodeTrainerState({ state, tensors }: Checkpoint, names: readonly string[]): TrainerState {
  const group = (prefix: string): Arrays =>
    new Map(
      names.map((name) => {
        const data = tensors.get(`${prefix}/${name}`);
        if (!data) throw new RangeError(`the checkpoint has no tensor ${prefix}/${name}`);
        return [name, data];
      }),
    );
  const { step, ...rest } = state as EncodedState;
  const optimizer = { step, mean: group('mean'), variance: group('variance') };
  return { ...rest, parameters: group('parameters'), optimizer };
}
