import Type, { type Static, type TSchema } from 'typebox';
import { DEVICE_CHOICES } from '../../core/options/devices.ts';
import { GateRule } from '../../core/options/gates.ts';
import { JobOptions } from '../../core/options/job-options.ts';
import { optionalJobOptions } from '../../core/options/job-settings.ts';
import { METRICS } from '../../core/options/metrics.ts';
import { PRECISION_SETTINGS } from '../../core/options/precisions.ts';

const strict = { additionalProperties: false };
/** Names go into keys, folders and tables. */
const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$', maxLength: 40 });
/** Relative to the YAML file; `${NAME}` and `${NAME:-default}` are read from the environment. */
const Path = Type.String({ minLength: 1 });
const Count = Type.Integer({ minimum: 1 });
const listOf = <T extends TSchema>(item: T) => Type.Array(item, { minItems: 1 });

/** The product's job options. The strategy is not among them: it is what an experiment compares. */
function experimentOptions(table: Type.TObject) {
  const { strategy: _, ...options } = optionalJobOptions(table).properties;
  return Type.Object(options, strict);
}

const Evolution = Type.Object({ name: Name, base: Path, tasks: Type.Optional(listOf(Name)) }, strict);

const Task = Type.Object(
  {
    name: Name,
    metric: Type.Enum(METRICS),
    /** Rows that old adapters are trained on and, as far as a run has them, the new ones. */
    train: Path,
    /** Rows that the product divides into search rows and gate rows. */
    validation: Path,
    /** Rows that nothing but the report sees. */
    test: Path,
  },
  strict,
);

/** How the adapter of the old base is made. */
const AdapterRecipe = Type.Object(
  {
    name: Name,
    rank: Type.Optional(Count),
    alpha: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    dora: Type.Optional(Type.Boolean()),
    rslora: Type.Optional(Type.Boolean()),
    targets: Type.Optional(Type.Union([Type.String(), listOf(Type.String())])),
    /** Training rows; all there are where none is said. */
    rows: Type.Optional(Count),
    steps: Count,
    batch_size: Count,
    learning_rate: Type.Number({ exclusiveMinimum: 0 }),
    tasks: Type.Optional(listOf(Name)),
  },
  strict,
);

/** Losses of a whole grid of α and β, to draw the way of a search on. */
const Surface = Type.Object(
  {
    task: Name,
    evolution: Name,
    /** First, last, points. */
    alpha: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    beta: Type.Tuple([Type.Number(), Type.Number(), Type.Integer({ minimum: 2 })]),
    /** Whose search is drawn. */
    strategy: Name,
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
      validation_rows: Type.Optional(Count),
      test_rows: Type.Optional(Count),
      gate: GateRule,
      options: Type.Optional(experimentOptions(table)),
      strategies: listOf(strategyEntry(table)),
      /** Strategies that the others are compared with. Default: those that train from scratch. */
      baselines: Type.Optional(Type.Array(Name)),
      surfaces: Type.Optional(Type.Array(Surface)),
      device: Type.Optional(Type.Enum(DEVICE_CHOICES)),
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
      gate: Type.Optional(GateRule),
      /** Whether a job receives the searches of earlier jobs of this strategy on the same evolution. */
      fleet: Type.Optional(Type.Boolean()),
      /** Whether a job knows how the old version did on the gate rows, as in every rollout but the first. */
      known_old: Type.Optional(Type.Boolean()),
      tasks: Type.Optional(listOf(Name)),
      evolutions: Type.Optional(listOf(Name)),
      adapters: Type.Optional(listOf(Name)),
      rows: Type.Optional(listOf(Count)),
      seeds: Type.Optional(listOf(Type.Integer({ minimum: 0 }))),
    },
    strict,
  );
}

export type ExperimentFile = Static<ReturnType<typeof experimentSchema>>;
export type StrategyEntry = ExperimentFile['strategies'][number];
export type AdapterRecipe = Static<typeof AdapterRecipe>;
export type TaskConfig = Static<typeof Task>;
export type EvolutionConfig = Static<typeof Evolution>;
export type SurfaceConfig = Static<typeof Surface>;
