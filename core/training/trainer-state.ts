import type { AdamwState, Arrays } from './optimizer/adamw.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { LossHistory } from './loss-monitor.ts';
import type { SamplerState } from './training-sampler.ts';

/** State that a training run needs to continue as if it had never stopped. The schedule follows from the step. */
export interface TrainerState {
  readonly parameters: Arrays;
  readonly optimizer: AdamwState;
  readonly sampler: SamplerState;
  readonly losses: LossHistory;
  /** Number of input tokens so far. */
  readonly tokens: number;
  /** Duration of the steps so far. */
  readonly seconds: number;
}

/** Part of the state that {@link encodeTrainerState} keeps as JSON. */
interface EncodedState extends Omit<TrainerState, 'parameters' | 'optimizer'> {
  readonly step: number;
}

/** Converts a state to a checkpoint: JSON for the numbers, tensors for parameters and moments. */
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
 * Restores the state that {@link encodeTrainerState} converted.
 * @param names names of the parameters in the adapter's order, because sums over them must not depend on the order in a
 * file
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
