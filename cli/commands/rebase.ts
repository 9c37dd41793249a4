import { Option, type Command } from 'commander';
import { PREFERENCES, STRATEGIES, type Preference } from '../../core/method/ladder/adaptation.ts';
import { MOVED_COEFFICIENTS, type MovedCoefficients } from '../../core/method/fusion/coefficients.ts';
import { GROUPINGS, type GroupingName } from '../../core/method/fusion/grouping.ts';
import {
  REGULARIZATION_SCHEDULES,
  REGULARIZATION_SPACES,
  type RegularizationOptions,
} from '../../core/method/regularization/regularization.ts';
import type { JobListener } from '../../core/adaptation/job-listener.ts';
import type { AdaptOutcome, GateSpec, JobSpec, MetricName, Strategy } from '../../workers/training/protocol.ts';
import { UnsuccessfulResult } from '../errors.ts';
import { interruptible } from '../interruption.ts';
import { addCommonOptions, integer, number, share, type CommonOptions } from '../options.ts';
import { createOutput, type Output } from '../output.ts';
import { addGateOptions, gateOf, type GateOptions } from '../rebase-gate.ts';
import { describeEvent, ladderTable, rebaseDocument, rebaseRows } from '../rebase-report.ts';
import { withSession } from '../session.ts';

interface RebaseOptions extends CommonOptions, GateOptions {
  readonly oldBase: string;
  readonly base: string;
  readonly adapter: string;
  readonly data?: string;
  readonly validation: string;
  readonly out: string;
  readonly metric?: MetricName;
  readonly strategy: Strategy;
  readonly prefer: Preference;
  readonly explain: boolean;
  readonly steps: number;
  readonly refineSteps: number;
  readonly patience?: number;
  readonly regularizeTowards: RegularizationOptions['towards'];
  readonly regularizeSpace: RegularizationOptions['space'];
  readonly regularizeSchedule: RegularizationOptions['schedule'];
  readonly regularizeStrength?: number;
  readonly batchSize: number;
  readonly learningRate?: number;
  readonly evaluateEvery: number;
  readonly searchEvaluations?: number;
  readonly searchRows?: number;
  readonly coefficients: MovedCoefficients;
  readonly grouping: GroupingName;
  readonly fusionRank: number;
  readonly fusionEnergy: number;
}

export function register(program: Command): void {
  const command = program
    .command('rebase')
    .description('carry an adapter over to a new version of its base model, as cheaply as its target allows')
    .requiredOption('--old-base <dir>', 'base model that the adapter was trained for')
    .requiredOption('--base <dir>', 'new version of that base model')
    .requiredOption('--adapter <dir>', 'PEFT adapter folder')
    .option('--data <file>', 'JSONL with prompt and completion to train on; without it nothing is trained')
    .requiredOption('--validation <file>', 'JSONL that is divided into rows for the search and rows for the gate')
    .requiredOption('--out <dir>', 'folder to write the new adapter to (replaced if it is one)')
    .addOption(
      new Option(
        '--metric <name>',
        'what the gate measures (default: accuracy, or exact_match where choices are many)',
      ).choices(['accuracy', 'exact_match', 'loss']),
    );
  addGateOptions(command)
    .addOption(
      new Option('--strategy <name>', 'what to try; auto takes the cheapest first').choices(STRATEGIES).default('auto'),
    )
    .addOption(
      new Option('--prefer <what>', 'of auto: undo the change of the base second, or only when all else has failed')
        .choices(PREFERENCES)
        .default('old_behavior'),
    )
    .option('--explain', 'print every rung of the ladder with its gate and its time', false)
    .option('--steps <n>', 'optimizer steps at most', integer(0), 300)
    .option(
      '--refine-steps <n>',
      'steps to go on after readiness; an adapter better beyond noise replaces the first',
      integer(0),
      0,
    )
    .option(
      '--patience <n>',
      'of auto: looks at the gate without a better one until fine-tuning gives up (default: 5)',
      integer(0),
    )
    .option('--batch-size <n>', 'examples a step', integer(1), 16)
    .option(
      '--learning-rate <x>',
      'at the end of the warm-up (default: by strategy and width of the model)',
      number('positive'),
    )
    .option('--evaluate-every <n>', 'steps between two looks at the gate', integer(1), 20)
    .option(
      '--search-evaluations <n>',
      'points that the search for α and β may measure, the copy included; 0: none (default: 6, of relora-paper 12)',
      integer(0),
    )
    .option('--search-rows <n>', 'rows that it measures on (default: 64, as far as the gate leaves them)', integer(1))
    .addOption(
      new Option('--coefficients <which>', 'what the search moves; the other stays as in a copy')
        .choices(MOVED_COEFFICIENTS)
        .default('both'),
    )
    .addOption(
      new Option(
        '--grouping <name>',
        'modules that share α and β; all but global find them by gradients instead of the search',
      )
        .choices(GROUPINGS)
        .default('global'),
    )
    .option('--fusion-rank <n>', "largest rank that a fused adapter may grow to; 0 keeps the old one's", integer(0), 0)
    .option('--fusion-energy <x>', 'share of the fused energy that a grown rank is to hold, at most 1', share, 1)
    .addOption(
      new Option('--regularize-towards <what>', 'what the L2 penalty of fine-tuning pulls towards')
        .choices(['initial', 'zero'])
        .default('initial'),
    )
    .addOption(
      new Option('--regularize-space <what>', 'what it pulls').choices(REGULARIZATION_SPACES).default('factors'),
    )
    .addOption(
      new Option('--regularize-schedule <name>', 'how it is relaxed over the steps')
        .choices(REGULARIZATION_SCHEDULES)
        .default('two_stage'),
    )
    .option('--regularize-strength <x>', 'how strong it is at the start (default: 0.1)', number())
    .action(run);
  addCommonOptions(command);
}

async function run(options: RebaseOptions): Promise<void> {
  const gate = gateOf(options);
  const output = createOutput(options);
  const { requireWritableAdapterFolder } = await import('../adapter-folder.ts');
  await requireWritableAdapterFolder(options.out, options.adapter);
  const metric = options.metric ?? (await suitableMetric(options));
  const outcome = await interruptible((signal) => carryOver(options, { metric, gate }, output, signal));
  const document = rebaseDocument(outcome, metric);
  output.result(document, rebaseRows(document, options.out), options.explain ? ladderTable(outcome, metric) : '');
  if (outcome.state !== 'ready') {
    throw new UnsuccessfulResult(`the target was not reached; ${options.out} holds the best candidate`);
  }
}

interface Aim {
  readonly metric: MetricName;
  readonly gate: GateSpec;
}

/** Works in a temporary folder; `--out` is written when something is published or, at the end, the best is kept. */
async function carryOver(options: RebaseOptions, aim: Aim, output: Output, signal: AbortSignal): Promise<AdaptOutcome> {
  const { copyFolder, withTemporaryFolder } = await import('../folders.ts');
  const { runAdaptation } = await import('../../core/adaptation/adaptation.ts');
  return withTemporaryFolder((workDir) =>
    withSession(options, async (session) => {
      const listener = showProgress(output, (dir) => copyFolder(dir, options.out));
      const outcome = await runAdaptation(session, toSpec(options, aim, workDir), listener, signal);
      if (outcome.candidateDir !== null) await copyFolder(outcome.candidateDir, options.out);
      return outcome;
    }),
  );
}

function toSpec(options: RebaseOptions, { metric, gate }: Aim, workDir: string): JobSpec {
  const { strategy, prefer, batchSize, learningRate, evaluateEvery, refineSteps, patience, seed } = options;
  const { regularizeTowards, regularizeSpace, regularizeSchedule, regularizeStrength } = options;
  const { searchEvaluations, searchRows, coefficients, grouping, fusionRank, fusionEnergy } = options;
  const training = { maxSteps: options.steps, batchSize, learningRate, evaluateEvery, refineSteps, patience };
  const regularization = { regularizeTowards, regularizeSpace, regularizeSchedule, regularizeStrength };
  const fusion = { searchEvaluations, searchRows, coefficients, grouping, fusionRank, fusionEnergy };
  return {
    jobId: 'rebase',
    kind: 'adaptation',
    oldBase: options.oldBase,
    newBase: options.base,
    adapter: options.adapter,
    data: { train: options.data ?? null, validation: options.validation },
    metric,
    gate,
    evolution: null,
    options: { strategy, prefer, seed, ...fusion, ...training, ...regularization },
    workDir,
  };
}

/** Accuracy where training and validation rows together have 2 to 20 distinct completions. */
async function suitableMetric({ data, validation }: RebaseOptions): Promise<MetricName> {
  const { loadDataset } = await import('../../core/data/dataset.ts');
  const { MAX_CHOICES } = await import('../../core/data/choices.ts');
  const rows = [...(data === undefined ? [] : await loadDataset(data)), ...(await loadDataset(validation))];
  const { size } = new Set(rows.map(({ completion }) => completion));
  return size >= 2 && size <= MAX_CHOICES ? 'accuracy' : 'exact_match';
}

function showProgress(output: Output, publish: (dir: string) => Promise<void>): JobListener {
  let metric = '';
  return {
    phase: (phase) => output.progress(`${phase.replace('_', ' ')} …`),
    progress: (step, totalSteps) => output.progress(`step ${step}/${totalSteps}  ${metric}`),
    metrics: () => undefined,
    baselines: () => undefined,
    old: () => undefined,
    event: (event) => {
      if (event.type === 'candidate')
        metric = `${event.candidate.metric.name} ${event.candidate.metric.value.toFixed(4)}`;
      const line = describeEvent(event);
      if (line !== null) output.log(line);
    },
    publish: (_sequence, dir) => publish(dir),
  };
}
