import type { Command } from 'commander';
import type { Inspection } from '../../core/formats/inspect.ts';
import { UsageError } from '../process/errors.ts';
import { interruptible } from '../process/interruption.ts';
import { addCommonOptions, type CommonOptions } from '../options/common-options.ts';
import { integer } from '../options/parsers.ts';
import { addRowFormatOptions, rowFormatOf, type RowFormatOptions } from '../options/row-format.ts';
import { count, createOutput } from '../screen/output.ts';

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .description(
      'Check and describe a base model or an adapter, compare two versions of a base model, or show what a base ' +
        'model will see of a dataset.',
    )
    .argument('<folder>', 'Folder of a base model (with config.json) or of a PEFT adapter (with adapter_config.json).')
    .option('--base <folder>', 'Folder of the base model that the adapter must fit.')
    .option(
      '--against <folder>',
      'Folder of a new version of the base model, to compare and to give advice on adapters.',
    )
    .option(
      '--adapter <folder>',
      'PEFT folder of an adapter of that base: with --against, the advice is for it (default: any); with --data, ' +
        'says what margin these rows can certify for it.',
    )
    .option('--data <file>', 'JSONL file to show as the tokens and labels that the base model gets.')
    .option('--tokens <n>', 'Number of first rows of --data to show as tokens.', integer(0), 3);
  addRowFormatOptions(command, { appendEos: 'no' }).action(run);
  addCommonOptions(command);
}

interface InspectOptions extends CommonOptions, RowFormatOptions {
  readonly base?: string;
  readonly against?: string;
  readonly adapter?: string;
  readonly data?: string;
  readonly tokens: number;
}

async function run(folder: string, options: InspectOptions): Promise<void> {
  if (options.data !== undefined) return inspectData(folder, options.data, options);
  if (options.against !== undefined) return inspectEvolution(folder, options.against, options);
  if (options.adapter !== undefined)
    throw new UsageError('--adapter needs --against or --data; to check an adapter, give its folder as the argument');
  const { inspectFolder } = await import('../../core/formats/inspect.ts');
  const inspection = await inspectFolder(folder, options.base);
  createOutput(options).result(toDocument(inspection), toRows(inspection));
}

async function inspectData(base: string, data: string, options: InspectOptions): Promise<void> {
  const other = (['base', 'against'] as const).find((name) => options[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--data and --${other} exclude each other: give one of them`);
  const { reportData } = await import('../reports/data-report.ts');
  const color = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const format = rowFormatOf(options, {});
  const report = await reportData({ base, data, shown: options.tokens, format, color });
  const { adapter } = options;
  const gate = adapter === undefined ? null : await gateReport({ base, adapter, data });
  const document = { ...report.document, ...gate?.document };
  createOutput(options).result(document, [...report.rows, ...(gate?.rows ?? [])], report.text);
}

async function gateReport(subject: { base: string; adapter: string; data: string }) {
  const { reportGate } = await import('../reports/gate-report.ts');
  return reportGate(subject);
}

async function inspectEvolution(base: string, against: string, options: InspectOptions): Promise<void> {
  if (options.base !== undefined) throw new UsageError('--base and --against exclude each other: give one of them');
  const { reportEvolution } = await import('../reports/evolution-report.ts');
  const output = createOutput(options);
  const { adapter, seed } = options;
  const onProgress = (done: number, total: number): void => output.progress(`tensor ${done}/${total}`);
  const report = await interruptible((signal) => reportEvolution({ base, against, adapter, seed, signal, onProgress }));
  output.result(report.document, report.rows);
}

function toDocument(inspection: Inspection): object {
  if (inspection.kind === 'base_model') {
    const { kind, architecture, parameters, fingerprint, dtypes, config } = inspection;
    return { kind, architecture, parameters, fingerprint, rank: null, alpha: null, targets: null, dtypes, config };
  }
  const { kind, architecture, parameters, fingerprint, rank, largestRank, alpha, targets, modules } = inspection;
  const { useRslora, useDora, hasPeftKeys, baseModelName, baseFingerprint } = inspection;
  return {
    kind,
    architecture,
    parameters,
    fingerprint,
    rank,
    largest_rank: largestRank,
    alpha,
    targets,
    modules,
    use_rslora: useRslora,
    use_dora: useDora,
    keys_as_peft_writes_them: hasPeftKeys,
    base_model_name: baseModelName,
    base_fingerprint: baseFingerprint,
  };
}

function toRows(inspection: Inspection): [string, string][] {
  const { architecture, parameters, fingerprint } = inspection;
  const common: [string, string][] = [
    ['architecture', architecture ?? '– (needs --base)'],
    ['parameters', count(parameters)],
    ['fingerprint', fingerprint ?? '– (needs --base)'],
  ];
  if (inspection.kind === 'base_model') {
    const { numLayers, hiddenSize, vocabSize } = inspection.config;
    const shape = `${numLayers} layers, hidden size ${hiddenSize}, vocabulary ${count(vocabSize)}`;
    return [['kind', 'base model'], ...common, ['shape', shape], ['stored as', inspection.dtypes.join(', ')]];
  }
  const { rank, largestRank, alpha, targets, modules, useRslora, useDora, hasPeftKeys, baseFingerprint } = inspection;
  return [
    ['kind', `${useDora ? 'DoRA' : 'LoRA'} adapter${useRslora ? ', scaled by alpha / √rank (rsLoRA)' : ''}`],
    ...common,
    ['rank', largestRank === rank ? String(rank) : `${rank} (up to ${largestRank} in some modules)`],
    ['alpha', String(alpha)],
    ['targets', typeof targets === 'string' ? targets : targets.join(', ')],
    ['modules', String(modules)],
    ...(hasPeftKeys
      ? []
      : [['keys', 'not as PEFT writes them; PEFT and serving engines may not find the tensors'] as [string, string]]),
    ...(baseFingerprint === null ? [] : [['made for', baseFingerprint] as [string, string]]),
  ];
}
