import Type, { type Static, type TSchema } from 'typebox';
import { DEVICE_CHOICE_PATTERN, type DeviceChoice } from '../../../core/options/devices.ts';
import { GateRule } from '../../../core/options/gates.ts';
import { JobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';
import { METRICS } from '../../../core/options/metrics.ts';
import { PRECISION_SETTINGS } from '../../../core/options/precisions.ts';

const strict = { additionalProperties: false };
/** Name for keys, folder names and tables. */
const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$', maxLength: 40 });
/** Path relative to the YAML file. `${NAME}` and `${NAME:-default}` are replaced from the environment. */
const Path = Type.String({ minLength: 1 });
const Count = Type.Integer({ minimum: 1 });
const listOf = <T extends TSchema>(item: T) => Type.Array(item, { minItems: 1 });

/** Options that jobs no longer have. They stay for the files of finished experiments and the keys of their results. */
export const RETIRED_OPTIONS = {
  search_start: Type.Optional(Type.String()),
  search_spacing: Type.Optional(Type.Number()),
  distill: Type.Optional(Type.String()),
};

/** Schema of the product's job options, without the strategy, which an experiment compares. */
function experimentOptions(table: Type.TObject) {
  const { strategy: _, ...options } = optionalJobOptions(table).properties;
  return Type.Object({ ...options, ...RETIRED_OPTIONS }, strict);
}

const Evolution = Type.Object(
  {
    name: Name,
    base: Path,
    /** Previous evolution in a chain, whose published adapters jobs carry over. Default: the experiment's base. */
    parent: Type.Optional(Name),
    /** Default: all tasks. */
    tasks: Type.Optional(listOf(Name)),
    /** Default: all numbers of rows. */
    rows: Type.Optional(listOf(Count)),
  },
  strict,
);

const Task = Type.Object(
  {
    name: Name,
    metric: Type.Enum(METRICS),
    /**
     * File of training rows. Old adapters are trained on them, and a job with n rows gets the first n of the tenant's.
     */
    train: Type.Optional(Path),
    /** Validation file, which the product divides into search rows and gate rows. */
    validation: Type.Optional(Path),
    /** File of test rows. No job sees them. */
    test: Type.Optional(Path),
    /**
     * Files to draw all rows from, in place of the three: test rows, the same for all seeds, and other rows by seed.
     */
    pool: Type.Optional(listOf(Path)),
    /**
     * Whether adapters learn to end answers with the end-of-text token, as chat templates do themselves. Default: no.
     */
    append_eos: Type.Optional(Type.Boolean()),
  },
  strict,
);

/** Recipe by which adapters for the old base are trained. */
const AdapterRecipe = Type.Object(
  {
    name: Name,
    rank: Type.Optional(Count),
    alpha: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    dora: Type.Optional(Type.Boolean()),
    rslora: Type.Optional(Type.Boolean()),
    targets: Type.Optional(Type.Union([Type.String(), listOf(Type.String())])),
    /** Number of training rows. Default: all rows of the task. */
    rows: Type.Optional(Count),
    steps: Count,
    batch_size: Count,
    learning_rate: Type.Number({ exclusiveMinimum: 0 }),
    tasks: Type.Optional(listOf(Name)),
  },
  strict,
);

/** Grid of α and β on which the loss is measured, as the background of a chart of one search. */
const Surface = Type.Object(
  {
    task: Name,
    evolution: Name,
    /** First value, last value, and number of values. */
    alpha: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    beta: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    /** Name of the strategy whose search the chart shows. */
    strategy: Name,
  },
  strict,
);

/** Tables that a report has in addition to the usual ones. */
const FurtherReport = Type.Object(
  {
    /** Whether the registered hypotheses are judged, with the tables of docs/experiments.md. */
    hypotheses: Type.Optional(Type.Boolean()),
    /** Whether the strategies are settings of a sweep, of which one wins. */
    winner: Type.Optional(Type.Boolean()),
    /** Planned experiment whose power is computed from the deviations of the comparisons. */
    power: Type.Optional(Type.Object({ tasks: Count, rows: Count, tenants: listOf(Count) }, strict)),
  },
  strict,
);

/** Schema of an experiment file. @param table the job options, from which the experiment's options are derived */
export function experimentSchema(table: Type.TObject = JobOptions) {
  return Type.Object(
    {
      name: Name,
      title: Type.Optional(Type.String({ minLength: 1 })),
      base: Path,
      evolutions: listOf(Evolution),
      tasks: listOf(Task),
      adapters: listOf(AdapterRecipe),
      rows: listOf(Count),
      seeds: listOf(Type.Integer({ minimum: 0 })),
      /**
       * Added to a tenant's seed for its jobs, so that they use other random numbers than its old adapter. Default: 0.
       */
      job_seed: Type.Optional(Type.Integer({ minimum: 0 })),
      /** Numbers of random samples of the validation rows. Each job of a tenant is run with each of them. */
      draws: Type.Optional(listOf(Count)),
      validation_rows: Type.Optional(Count),
      test_rows: Type.Optional(Count),
      gate: GateRule,
      options: Type.Optional(experimentOptions(table)),
      strategies: listOf(strategyEntry(table)),
      /** Strategies that the others are compared with. Default: those that train from scratch. */
      baselines: Type.Optional(Type.Array(Name)),
      /** Pairs of strategies whose difference gets an interval. Default: each strategy with each baseline. */
      comparisons: Type.Optional(Type.Array(Type.Object({ strategy: Name, with: Name }, strict))),
      surfaces: Type.Optional(Type.Array(Surface)),
      report: Type.Optional(FurtherReport),
      /**
       * Whether results on test rows stay hidden until all items are measured or the hours are spent. All runs of a
       * blind experiment need the same commit and machine.
       */
      blind: Type.Optional(Type.Boolean()),
      /**
       * Whether each tenant may be measured on another machine, with evolutions that were made again. Differences of
       * bases are then computed for each tenant, and tenants are measured one after the other, each with all its
       * evolutions.
       */
      tenants_apart: Type.Optional(Type.Boolean()),
      /** Total hours of all items after which no item begins. Default: no limit. */
      hours: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      device: Type.Optional(Type.Unsafe<DeviceChoice>(Type.String({ pattern: DEVICE_CHOICE_PATTERN }))),
      precision: Type.Optional(Type.Enum(PRECISION_SETTINGS)),
      threads: Type.Optional(Count),
    },
    strict,
  );
}

/**
 * Schema of a strategy. It is run for all tasks, evolutions, adapters, rows, seeds and draws unless they are listed.
 */
function strategyEntry(table: Type.TObject) {
  return Type.Object(
    {
      name: Name,
      /** Default: the strategy with the name of the entry. */
      strategy: Type.Optional(JobOptions.properties.strategy),
      options: Type.Optional(experimentOptions(table)),
      /** Options by number of training rows. They override `options`. */
      options_by_rows: Type.Optional(Type.Record(Type.String({ pattern: '^[1-9][0-9]*$' }), experimentOptions(table))),
      gate: Type.Optional(GateRule),
      /**
       * Whether jobs got the searches of earlier jobs. Only finished experiments have it, and the keys of their
       * results.
       */
      fleet: Type.Optional(Type.Boolean()),
      /** Whether a job knows the old version's results on the gate rows, as in every rollout but the first. */
      known_old: Type.Optional(Type.Boolean()),
      tasks: Type.Optional(listOf(Name)),
      evolutions: Type.Optional(listOf(Name)),
      adapters: Type.Optional(listOf(Name)),
      rows: Type.Optional(listOf(Count)),
      seeds: Type.Optional(listOf(Type.Integer({ minimum: 0 }))),
      draws: Type.Optional(listOf(Count)),
    },
    strict,
  );
}

export type ExperimentFile = Static<ReturnType<typeof experimentSchema>>;
export type StrategyEntry = ExperimentFile['strategies'][number];
export type AdapterRecipe = Static<typeof AdapterRecipe>;
/** Task with its metric and the files of its rows. */
export type TaskConfig = Omit<Static<typeof Task>, keyof RowFiles | 'pool'> & (RowFiles | RowPool);

/** Files of training, validation and test rows. */
export interface RowFiles {
  readonly train: string;
  readonly validation: string;
  readonly test: string;
}

/** Files from which all rows of a task are drawn. */
export interface RowPool {
  readonly pool: readonly string[];
}

export type EvolutionConfig = Static<typeof Evolution>;
export type SurfaceConfig = Static<typeof Surface>;
