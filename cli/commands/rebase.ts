import { Option, type Command } from 'commander';
import type { JobEventHandler } from '../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import type { GateRule } from '../../core/options/gates.ts';
import { METRICS, type MetricName } from '../../core/options/metrics.ts';
import { UnsuccessfulResult } from '../process/errors.ts';
import { interruptible } from '../process/interruption.ts';
import { defaultMetric, withBases } from '../models/loaded-bases.ts';
import { addCommonOptions, baseNameOption, type CommonOptions } from '../options/common-options.ts';
import type { GateOptions } from '../options/gate-options.ts';
import { addOptionsLater } from '../options/later-options.ts';
import { createOutput, type Output } from '../screen/output.ts';
import { describeJobEvent, flipsText, ladderTable, rebaseDocument, rebaseRows } from '../reports/rebase-report.ts';

/** Options of `readapt rebase`, without the job options such as `--max-steps`. */
interface RebaseOptions extends CommonOptions, GateOptions {
  readonly oldBase: string;
  readonly base: string;
  readonly baseName?: string;
  readonly adapter: string;
  readonly data?: string;
  readonly validation: string;
  readonly out: string;
  readonly metric?: MetricName;
  readonly explain?: boolean;
}

export function addRebaseCommand(program: Command): void {
  const command = program
    .command('rebase')
    .description('Carry an adapter over to a new version of its base model, as cheaply as its target allows.')
    .requiredOption('--old-base <folder>', 'Folder of the base model version that the adapter was trained for.')
    .requiredOption('--base <folder>', 'Folder of the new version of that base model.')
    .addOption(baseNameOption())
    .requiredOption('--adapter <folder>', 'PEFT folder of the adapter.')
    .option('--data <file>', 'JSONL file of training rows (prompt and completion). Without it, nothing is trained.')
    .requiredOption(
      '--validation <file>',
      'JSONL file of held-out rows, which are divided into search rows and gate rows. If the rows of both files ' +
        'have prompts alone, the old version answers them, and the gate asks how far the new one agrees.',
    )
    .requiredOption('--out <folder>', 'Folder for the new adapter. An adapter that is already there is replaced.')
    .addOption(
      new Option('--metric <name>', 'Metric that the gate judges by.')
        .choices(METRICS)
        .default(undefined, 'accuracy if there are 2 to 20 distinct completions, else exact_match'),
    );
  command.option('--explain', 'Print each rung of the ladder with its gate and its time.').action(run);
  addOptionsLater(program, command, async () => {
    const { addGateOptions } = await import('../options/gate-options.ts');
    const { addAdapterOptions, addJobOptions } = await import('../options/job-options.ts');
    addGateOptions(command);
    addJobOptions(command, { except: ['seed'] });
    addAdapterOptions(command);
    addCommonOptions(command);
  });
}

async function run(options: RebaseOptions): Promise<void> {
  const { gateOf } = await import('../options/gate-options.ts');
  const gate = gateOf(options);
  const output = createOutput(options);
  const { requireWritableAdapterFolder } = await import('../process/folders.ts');
  await requireWritableAdapterFolder(options.out, options.adapter);
  const metric = options.metric ?? (await suitableMetric(options));
  const outcome = await interruptible((signal) => carryOver(options, { metric, gate }, output, signal));
  const document = rebaseDocument(outcome, metric);
  const ladder = options.explain ? `${await ladderTable(outcome, metric)}${flipsText(outcome)}` : '';
  output.result(document, rebaseRows(document, options.out), ladder);
  if (outcome.state !== 'ready') {
    const reason =
      outcome.best?.verdict === 'inconclusive'
        ? 'the gate rows do not decide on the best candidate'
        : 'the target was not reached';
    throw new UnsuccessfulResult(`${reason}; ${options.out} holds the best candidate`);
  }
}

interface Aim {
  readonly metric: MetricName;
  readonly gate: GateRule;
}

/**
 * Carries the adapter over, using a temporary folder for intermediate files. Writes the `--out` folder whenever a
 * candidate is published, and at the end with the best candidate.
 */
async function carryOver(options: RebaseOptions, aim: Aim, output: Output, signal: AbortSignal): Promise<JobOutcome> {
  const { copyFolder, withTemporaryFolder } = await import('../process/folders.ts');
  const { runAdaptation } = await import('../../core/adaptation/run-adaptation.ts');
  return withTemporaryFolder((workDir) =>
    withBases(options, async (bases) => {
      const onEvent = showProgress(output, (folder) => copyFolder(folder, options.out));
      const outcome = await runAdaptation(bases, await toSpec(options, aim, workDir), onEvent, signal);
      if (outcome.candidateFolder !== null) await copyFolder(outcome.candidateFolder, options.out);
      return outcome;
    }),
  );
}

async function toSpec(options: RebaseOptions, { metric, gate }: Aim, workDir: string): Promise<JobSpec> {
  const { givenAdapterOptions, givenJobOptions } = await import('../options/job-options.ts');
  return {
    jobId: 'rebase',
    kind: 'adaptation',
    oldBase: options.oldBase,
    newBase: options.base,
    newBaseName: options.baseName,
    adapter: options.adapter,
    data: { train: options.data ?? null, validation: options.validation },
    metric,
    gate,
    adapterOptions: givenAdapterOptions(options),
    evolution: null,
    trustsOutcomes: true,
    options: givenJobOptions(options),
    workDir,
  };
}

/**
 * Chooses the metric for a command line that names none. The choice depends on the completions of the training rows and
 * held-out rows together.
 */
async function suitableMetric({ data, validation }: RebaseOptions): Promise<MetricName> {
  const { areAnswered, loadGivenDataset } = await import('../../core/data/dataset.ts');
  const { choiceTexts } = await import('../../core/data/choices.ts');
  const rows = [...(data === undefined ? [] : await loadGivenDataset(data)), ...(await loadGivenDataset(validation))];
  return defaultMetric(areAnswered(rows) ? choiceTexts(rows) : null);
}

function showProgress(output: Output, publish: (folder: string) => Promise<void>): JobEventHandler {
  let metric = '';
  return (event) => {
    switch (event.type) {
      case 'phase':
        return output.progress(`${event.phase.replace('_', ' ')} …`);
      case 'progress':
        return output.progress(`step ${event.step}/${event.totalSteps}  ${metric}`);
      case 'publication':
        return publish(event.folder);
      case 'candidate':
        metric = `${event.candidate.metric.name} ${event.candidate.metric.value.toFixed(4)}`;
        break;
      default:
    }
    const line = describeJobEvent(event);
    if (line !== null) output.log(line);
  };
}
