import type { AdamwState, Arrays } from './optimizer/adamw.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { LossHistory } from './loss-monitor.ts';
import type { SamplerState } from './training-sampler.ts';

/** All that a training run needs to go on as if it had never stopped; the schedule follows from the step. */
export interface TrainerState {
  readonly parameters: Arrays;
  readonly optimizer: AdamwState;
  readonly sampler: SamplerState;
  readonly losses: LossHistory;
  readonly tokens: number;
  readonly seconds: number;
}

/** What {@link encodeTrainerState} keeps as JSON. */
interface EncodedState {
  readonly step: number;
  readonly sampler: SamplerState;
  readonly losses: LossHistory;
  readonly tokens: number;
  readonly seconds: number;
}

/** As a checkpoint: JSON for the numbers, tensors for parameters and moments. */
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
 * The state that {@link encodeTrainerState} took apart.
 * @param names the parameters, in the adapter's order: sums over all of them must not depend on a file's order
 */
export function decodeTrainerState({ state, tensors }: Checkpoint, names: readonly string[]): TrainerState {
  const group = (prefix: string): Arrays =>
    new Map(
      names.map((name) => {
        const data = tensors.get(`${prefix}/${name}`);
        if (!data) throw new RangeError(`checkpoint has no ${prefix} of ${name}`);
        return [name, data];
      }),
    );
  const { step, ...rest } = state as EncodedState;
  const optimizer = { step, mean: group('mean'), variance: group('variance') };
  return { ...rest, parameters: group('parameters'), optimizer };
}
