import Type, { type Static, type TSchema } from 'typebox';
import { DEVICE_CHOICE_PATTERN, type DeviceChoice } from '../../../core/options/devices.ts';
import { GateRule } from '../../../core/options/gates.ts';
import { JobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';
import { METRICS } from '../../../core/options/metrics.ts';
import { PRECISION_SETTINGS } from '../../../core/options/precisions.ts';

const strict = { additionalProperties: false };
/** A name is used in keys, folder names and tables. */
const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$', maxLength: 40 });
/** A path relative to the YAML file. `${NAME}` and `${NAME:-default}` are replaced from the environment. */
const Path = Type.String({ minLength: 1 });
const Count = Type.Integer({ minimum: 1 });
const listOf = <T extends TSchema>(item: T) => Type.Array(item, { minItems: 1 });

/** Options that jobs no longer have. Finished experiments have them, and so have the keys of their results. */
export const RETIRED_OPTIONS = {
  search_start: Type.Optional(Type.String()),
  search_spacing: Type.Optional(Type.Number()),
  distill: Type.Optional(Type.String()),
  distill_weight: Type.Optional(Type.Number()),
};

/** The product's job options. The strategy is not among them: it is what an experiment compares. */
function experimentOptions(table: Type.TObject) {
  const { strategy: _, ...options } = optionalJobOptions(table).properties;
  return Type.Object({ ...options, ...RETIRED_OPTIONS }, strict);
}

const Evolution = Type.Object(
  {
    name: Name,
    base: Path,
    /** Evolution before this one in a chain: jobs carry over what they have published for it. Default: the experiment's base. */
    parent: Type.Optional(Name),
    /** Default: all of them. */
    tasks: Type.Optional(listOf(Name)),
    /** Default: all of them. */
    rows: Type.Optional(listOf(Count)),
  },
  strict,
);

const Task = Type.Object(
  {
    name: Name,
    metric: Type.Enum(METRICS),
    /** File of training rows: old adapters are trained on them, and each job gets as many as its number of rows says. */
    train: Type.Optional(Path),
    /** Validation file, which the product divides into search rows and gate rows. */
    validation: Type.Optional(Path),
    /** File of test rows, which nothing but the report sees. */
    test: Type.Optional(Path),
    /** In place of the three: files whose rows are divided into test rows, the same for all seeds, and each seed's others. */
    pool: Type.Optional(listOf(Path)),
    /** Whether adapters learn to end their answers by the end of the text, which chat templates do themselves. Default: no. */
    append_eos: Type.Optional(Type.Boolean()),
  },
  strict,
);

/** How the adapters for the old base are trained. */
const AdapterRecipe = Type.Object(
  {
    name: Name,
    rank: Type.Optional(Count),
    alpha: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    dora: Type.Optional(Type.Boolean()),
    rslora: Type.Optional(Type.Boolean()),
    targets: Type.Optional(Type.Union([Type.String(), listOf(Type.String())])),
    /** Number of training rows; all rows of the task by default. */
    rows: Type.Optional(Count),
    steps: Count,
    batch_size: Count,
    learning_rate: Type.Number({ exclusiveMinimum: 0 }),
    tasks: Type.Optional(listOf(Name)),
  },
  strict,
);

/** A grid of α and β on which the loss is measured, as the background of a chart of one search. */
const Surface = Type.Object(
  {
    task: Name,
    evolution: Name,
    /** First value, last value, and number of values. */
    alpha: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    beta: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    /** Name of the strategy whose search is drawn. */
    strategy: Name,
  },
  strict,
);

/** Tables of the report beside those that every report has. */
const FurtherReport = Type.Object(
  {
    /** Whether the registered hypotheses are judged, with the tables that the page of experiments opens with. */
    hypotheses: Type.Optional(Type.Boolean()),
    /** Whether the strategies are settings of a sweep, of which one wins. */
    winner: Type.Optional(Type.Boolean()),
    /** A planned experiment whose power follows from what the comparisons measured. */
    power: Type.Optional(Type.Object({ tasks: Count, rows: Count, tenants: listOf(Count) }, strict)),
  },
  strict,
);

/** The settings of an experiment file. @param table the job options, which an experiment's own are derived from */
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
      /** Added to a tenant's seed for the random numbers of its jobs, so that they are not those of its old adapter. Default: 0. */
      job_seed: Type.Optional(Type.Integer({ minimum: 0 })),
      /** Numbers of random draws: each job of a tenant is run with each of these samples of its validation rows. */
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
       * Whether nothing shows what was measured on test rows before everything is measured or the hours are spent. All parts of its run
       * have to have one commit and one machine.
       */
      blind: Type.Optional(Type.Boolean()),
      /**
       * Whether each tenant may be measured on another machine, with evolutions that were made again. Their differences are then computed
       * for each tenant, and a seed's tenants are measured one after the other, each with all of its evolutions.
       */
      tenants_apart: Type.Optional(Type.Boolean()),
      /** No item begins once the items have taken so many hours together. Default: no limit. */
      hours: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      device: Type.Optional(Type.Unsafe<DeviceChoice>(Type.String({ pattern: DEVICE_CHOICE_PATTERN }))),
      precision: Type.Optional(Type.Enum(PRECISION_SETTINGS)),
      threads: Type.Optional(Count),
    },
    strict,
  );
}

/** One way to adapt, and where it is run; it is run everywhere unless something narrows it. */
function strategyEntry(table: Type.TObject) {
  return Type.Object(
    {
      name: Name,
      /** Default: the strategy that the entry's name is. */
      strategy: Type.Optional(JobOptions.properties.strategy),
      options: Type.Optional(experimentOptions(table)),
      /** Options of the jobs with a number of training rows, which come before `options`. */
      options_by_rows: Type.Optional(Type.Record(Type.String({ pattern: '^[1-9][0-9]*$' }), experimentOptions(table))),
      gate: Type.Optional(GateRule),
      /** Only of finished experiments: their jobs were given the searches of earlier ones, as no job is any more. Keys have it. */
      fleet: Type.Optional(Type.Boolean()),
      /** Whether a job knows how the old version did on the gate rows, as in every rollout but the first. */
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
/** A task's name and metric, and where its rows are. */
export type TaskConfig = Omit<Static<typeof Task>, keyof RowFiles | 'pool'> & (RowFiles | RowPool);

/** Files of rows that are divided already. */
export interface RowFiles {
  readonly train: string;
  readonly validation: string;
  readonly test: string;
}

/** Files of rows that are drawn from. */
export interface RowPool {
  readonly pool: readonly string[];
}

export type EvolutionConfig = Static<typeof Evolution>;
export type SurfaceConfig = Static<typeof Surface>;
