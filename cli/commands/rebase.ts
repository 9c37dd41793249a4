import { Option, type Command } from 'commander';
import type { AdaptationEvent } from '../../workers/relora/adaptation.ts';
import type { JobListener } from '../../workers/training/job-listener.ts';
import type { AdaptOutcome, GateSpec, JobSpec, MetricName, Strategy } from '../../workers/training/protocol.ts';
import { UnsuccessfulResult, UsageError } from '../errors.ts';
import { interruptible } from '../interruption.ts';
import { addCommonOptions, integer, number, type CommonOptions } from '../options.ts';
import { createOutput, duration, percent, type Output } from '../output.ts';
import { withSession } from '../session.ts';

interface RebaseOptions extends CommonOptions {
  readonly oldBase: string;
  readonly base: string;
  readonly adapter: string;
  readonly data: string;
  readonly validation: string;
  readonly out: string;
  readonly metric?: MetricName;
  readonly target?: number;
  readonly margin?: number;
  readonly strategy: Strategy;
  readonly steps: number;
  readonly refineSteps: number;
  readonly regulariseTowards: 'initial' | 'zero';
  readonly batchSize: number;
  readonly learningRate?: number;
  readonly evaluateEvery: number;
  readonly searchEvaluations: number;
}

/** Half a point: what the new adapter may lose to the old one where nothing else is said. */
const DEFAULT_MARGIN = 0.005;

export function register(program: Command): void {
  const command = program
    .command('rebase')
    .description('carry an adapter over to a new version of its base model, as cheaply as its target allows')
    .requiredOption('--old-base <dir>', 'base model that the adapter was trained for')
    .requiredOption('--base <dir>', 'new version of that base model')
    .requiredOption('--adapter <dir>', 'PEFT adapter folder')
    .requiredOption('--data <file>', 'JSONL with prompt and completion to train on')
    .requiredOption('--validation <file>', 'JSONL that is divided into rows for the search and rows for the gate')
    .requiredOption('--out <dir>', 'folder to write the new adapter to (replaced if it is one)')
    .addOption(
      new Option('--metric <name>', 'what the gate measures (default: accuracy, or exact_match where choices are many)')
        .choices(['accuracy', 'exact_match', 'loss']),
    )
    .option('--target <x>', 'value to be reached (accuracy as a fraction)', number())
    .option('--margin <m>', 'or: what may be lost to the old adapter on the old base (default: 0.005)', number())
    .addOption(
      new Option('--strategy <name>', 'what to try; auto takes the cheapest first')
        .choices(['auto', 'reuse', 'revert', 'relora', 'warm-start', 'scratch'])
        .default('auto'),
    )
    .option('--steps <n>', 'optimiser steps at most', integer(0), 300)
    .option('--refine-steps <n>', 'steps to go on after readiness; a better adapter replaces the first', integer(0), 0)
    .option('--batch-size <n>', 'examples a step', integer(1), 16)
    .option('--learning-rate <x>', 'at the end of the warm-up (default: by strategy and width of the model)', number('positive'))
    .option('--evaluate-every <n>', 'steps between two looks at the gate', integer(1), 20)
    .option('--search-evaluations <n>', 'loss evaluations of the search for α and β', integer(0), 12)
    .addOption(
      new Option('--regularise-towards <what>', 'what the L2 penalty of fine-tuning pulls towards')
        .choices(['initial', 'zero'])
        .default('initial'),
    )
    .action(run);
  addCommonOptions(command);
}

async function run(options: RebaseOptions): Promise<void> {
  if (options.target !== undefined && options.margin !== undefined) {
    throw new UsageError('--target and --margin exclude each other');
  }
  const output = createOutput(options);
  const { requireWritableAdapterFolder } = await import('../adapter-folder.ts');
  await requireWritableAdapterFolder(options.out, options.adapter);
  const metric = options.metric ?? (await suitableMetric(options));
  const outcome = await interruptible((signal) => carryOver(options, metric, output, signal));
  const document = toDocument(outcome, metric);
  output.result(document, toRows(document, options.out));
  if (outcome.state !== 'ready') {
    throw new UnsuccessfulResult(`the target was not reached; ${options.out} holds the best candidate`);
  }
}

/** Works in a temporary folder; `--out` is written when something is published or, at the end, the best is kept. */
async function carryOver(options: RebaseOptions, metric: MetricName, output: Output, signal: AbortSignal): Promise<AdaptOutcome> {
  const { copyFolder, withTemporaryFolder } = await import('../folders.ts');
  const { runAdaptation } = await import('../../workers/training/adaptation.ts');
  return withTemporaryFolder((workDir) =>
    withSession(options, async (session) => {
      const listener = showProgress(output, (dir) => copyFolder(dir, options.out));
      const outcome = await runAdaptation(session, toSpec(options, metric, workDir), listener, signal);
      if (outcome.candidateDir !== null) await copyFolder(outcome.candidateDir, options.out);
      return outcome;
    }),
  );
}

function toSpec(options: RebaseOptions, metric: MetricName, workDir: string): JobSpec {
  const gate: GateSpec =
    options.target !== undefined
      ? { kind: 'absolute', target: options.target }
      : { kind: 'relative', margin: options.margin ?? DEFAULT_MARGIN };
  const { strategy, batchSize, learningRate, evaluateEvery, searchEvaluations, refineSteps, regulariseTowards, seed } = options;
  return {
    jobId: 'rebase',
    kind: 'adaptation',
    oldBase: options.oldBase,
    newBase: options.base,
    adapter: options.adapter,
    data: { train: options.data, validation: options.validation },
    metric,
    gate,
    evolution: null,
    options: {
      strategy,
      maxSteps: options.steps,
      batchSize,
      learningRate,
      evaluateEvery,
      searchEvaluations,
      refineSteps,
      regulariseTowards,
      seed,
    },
    workDir,
  };
}

/** Accuracy where training and validation rows together have 2 to 20 distinct completions. */
async function suitableMetric({ data, validation }: RebaseOptions): Promise<MetricName> {
  const { loadDataset } = await import('../../workers/training/dataset.ts');
  const { MAX_CHOICES } = await import('../../workers/training/choices.ts');
  const rows = [...(await loadDataset(data)), ...(await loadDataset(validation))];
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
    event: (event) => {
      if (event.type === 'candidate') metric = `${event.candidate.metric.name} ${event.candidate.metric.value.toFixed(4)}`;
      const line = describe(event);
      if (line !== null) output.log(line);
    },
    publish: (_sequence, dir) => publish(dir),
  };
}

function describe(event: AdaptationEvent): string | null {
  switch (event.type) {
    case 'candidate': {
      const { id, metric, passed, alpha, beta } = event.candidate;
      const where = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(2)}, β ${beta.toFixed(2)})`;
      return `${id}${where}: ${metric.name} ${metric.value.toFixed(4)} ± ${metric.standardError.toFixed(4)}${passed ? ', passes' : ''}`;
    }
    case 'search': {
      const { alpha, beta, loss } = event.evaluation;
      return `search ${event.evaluations}/${event.budget}: α ${alpha.toFixed(3)}, β ${beta.toFixed(3)} → loss ${loss.toFixed(4)}`;
    }
    case 'warning':
      return `warning: ${event.message}`;
    case 'skipped':
      return `${event.rung} skipped: ${event.reason}`;
    default:
      return null;
  }
}

function toDocument({ state, best, target, readyMs, phases, baselines, steps }: AdaptOutcome, name: MetricName) {
  return {
    strategy: best?.strategy ?? null,
    alpha: best?.alpha ?? null,
    beta: best?.beta ?? null,
    steps,
    ttr_ms: readyMs,
    phases,
    ready: state === 'ready',
    target,
    metric: { name, old: baselines.old_on_v1, copy: baselines.v2_copy, new: best?.value ?? null },
  };
}

function toRows(document: ReturnType<typeof toDocument>, out: string): [string, string][] {
  const { strategy, alpha, beta, steps, ttr_ms, ready, target, metric } = document;
  const show = (value: number | null): string => (metric.name === 'loss' ? (value?.toFixed(4) ?? '–') : percent(value));
  const coefficients = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(3)}, β ${beta.toFixed(3)})`;
  return [
    ['ready', ready ? `yes, after ${duration(ttr_ms ?? 0)}` : 'no'],
    ['strategy', `${strategy ?? '–'}${coefficients}${steps > 0 ? `, ${steps} steps` : ''}`],
    [`${metric.name.replace('_', ' ')}`, `${show(metric.new)} (target ${show(target)})`],
    ['  old adapter, old base', show(metric.old)],
    ['  plain copy, new base', show(metric.copy)],
    ['adapter', out],
  ];
}
