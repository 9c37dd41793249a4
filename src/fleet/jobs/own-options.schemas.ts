import Type from 'typebox';
import type { GivenJobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';

/**
 * Largest learning rate that the service accepts. A higher one is surely a typing error, and would waste the training
 * time of a fleet.
 */
export const MAX_LEARNING_RATE = 1;

/** Names of the options that a single job may set for itself, in place of the values that its rollout gives. */
const NAMES = [
  ...(['strategy', 'prefer', 'max_steps', 'learning_rate', 'scratch_learning_rate'] as const),
  ...(['search_evaluations', 'least_power'] as const),
] as const;

export type OwnOptions = Pick<GivenJobOptions, (typeof NAMES)[number]>;

const table = optionalJobOptions().properties;
const rate = (option: object | undefined) => Type.Optional(Type.Number({ ...option, maximum: MAX_LEARNING_RATE }));

/**
 * Removes the default from an option's schema, so that a job for which the option is left out keeps the rollout's
 * value.
 */
function withoutDefault(option: object | undefined): Type.TSchema {
  const descriptors: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(option ?? {});
  delete descriptors.default;
  return Object.defineProperties({}, descriptors);
}

export const OwnOptions = Type.Object(
  {
    ...Object.fromEntries(NAMES.map((name) => [name, withoutDefault(table[name])])),
    learning_rate: rate(table.learning_rate),
    scratch_learning_rate: rate(table.scratch_learning_rate),
  },
  {
    title: 'OwnJobOptions',
    additionalProperties: false,
    description: 'Options of a job that differ from those of its rollout. What is left out stays as in the rollout.',
  },
);
