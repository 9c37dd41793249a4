import Type, { type Static } from 'typebox';

export const STRATEGIES = ['auto', 'reuse', 'revert', 'relora', 'relora-paper', 'warm-start', 'scratch'] as const;
/** Name of a strategy by which a job carries an adapter over to the new base. */
export type Strategy = (typeof STRATEGIES)[number];

/**
 * Table of a job's options: name, type, range, default and help text of each. The API's schema, the flags of `readapt
 * rebase`, the settings of experiment files and the job that a training process receives are all derived from it. If an
 * option has no `default` here, its default depends on other things, which the option's description names.
 */
export const JobOptions = Type.Object(
  {
    strategy: Type.Enum(STRATEGIES, {
      title: 'Strategy',
      default: 'auto',
      description:
        'How adapters are carried over. `auto` tries what needs no training first, trains only if none of that ' +
        'passes the gate, and stops at the first that does.',
    }),
    prefer: Type.Enum(['old_behavior', 'new_base'] as const, {
      title: 'Preference',
      default: 'old_behavior',
      description:
        'What `auto` keeps where it cannot keep both. `old_behavior` may undo all of the change of the base; ' +
        '`new_base` undoes half of that change at most, and all of it only when everything else has failed.',
    }),
    max_steps: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 300,
      description: 'Largest number of optimizer steps, over all training of one adapter.',
    }),
    batch_size: Type.Integer({
      minimum: 1,
      maximum: 4096,
      default: 16,
      description: 'Number of rows in one optimizer step.',
    }),
    learning_rate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description:
        'Peak learning rate, at the end of the warm-up. When left out, it follows from the width of the model, and ' +
        'training from scratch uses a higher one.',
    }),
    scratch_learning_rate: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1000,
      description: 'Peak learning rate of training from scratch, where it differs from `learning_rate`.',
    }),
    evaluate_every: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 20,
      description:
        'Number of optimizer steps between two evaluations on the search rows. After each, the gate may judge.',
    }),
    patience: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 5,
      description:
        'Number of evaluations without an improvement after which `auto` ends fine-tuning and leaves the remaining ' +
        'steps to training from scratch. 0 never ends it early.',
    }),
    least_power: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0.5,
      description:
        'After a candidate that the gate rows neither certify nor refute, the job searches and trains on only if ' +
        'another look at these rows certifies a version that is as good as the old one with more than this ' +
        'probability. 0 always goes on.',
    }),
    refine_steps: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      description:
        'Number of optimizer steps to continue after readiness. Another version is published only if it is better ' +
        'by more than noise.',
    }),
    search_evaluations: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 12,
      description:
        'Number of coefficient pairs that the search measures; 0 leaves the search out, and the copy takes its place.',
    }),
    search_rows: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 64,
      description: 'Number of search rows used to compare coefficients; fewer if the task has fewer.',
    }),
    fusion_rank: Type.Integer({
      minimum: 0,
      maximum: 1024,
      default: 0,
      description:
        'Rank that a fused adapter grows to, as far as there is anything to fill it with. 0 keeps the rank of the ' +
        'old adapter; no rank shrinks.',
    }),
    regularize_towards: Type.Enum(['initial', 'zero', 'fused'] as const, {
      title: 'RegularizationTarget',
      default: 'initial',
      description:
        'Where the L2 penalty of fine-tuning pulls the adapter: to the initial adapter, to zero, or to the fused ' +
        'update before its truncation to the rank of the adapter (`fused`). The penalty is taken of the elements ' +
        'of A and B, and with `fused` of their product.',
    }),
    regularize_schedule: Type.Enum(['two_stage', 'cosine', 'linear', 'none'] as const, {
      title: 'RegularizationSchedule',
      default: 'two_stage',
      description: 'How the penalty is relaxed to zero over the steps; `none` leaves it out.',
    }),
    regularize_strength: Type.Number({
      minimum: 0,
      maximum: 1000,
      default: 0.1,
      description: 'Strength of the penalty at the start.',
    }),
    max_new_tokens: Type.Integer({
      minimum: 0,
      maximum: 65_536,
      default: 0,
      description:
        'Largest number of tokens generated for a gate row, for metrics of generated text. 0 follows from the gate ' +
        'rows: twice as many as the longest completion has and 16 more, or the number of tokens of the row’s ' +
        'completion where completions do not end with an end-of-text token. For prompts alone it also limits what ' +
        'the old version answers; there, 0 is 128.',
    }),
    seed: Type.Integer({
      minimum: 0,
      maximum: 2 ** 31 - 1,
      default: 0,
      description: 'Seed of everything that is random.',
    }),
  },
  { additionalProperties: false },
);
/** Values of all options of a job, by their names in the API. */
export type JobOptions = Static<typeof JobOptions>;

/** Options of a job as given in a request, on a command line or in an experiment, where any may be missing. */
export type GivenJobOptions = Readonly<Partial<JobOptions>>;

/** Side that the strategy `auto` takes where it cannot keep both: the old behavior, or the new base's improvements. */
export type Preference = JobOptions['prefer'];
