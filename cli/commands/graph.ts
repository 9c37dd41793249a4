import { Option, type Command } from 'commander';
import type { CompiledDevice } from '../../core/options/devices.ts';
import { PRECISIONS, type Precision } from '../../core/options/precisions.ts';
import { UsageError } from '../process/errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { createOutput } from '../screen/output.ts';

const PROGRAMS = {
  losses: 'labelLosses',
  gradients: 'gradients',
  logits: 'logits',
  prefill: 'prefill',
  decode: 'decode',
} as const;

interface GraphOptions extends JsonOption {
  readonly base: string;
  readonly adapter?: string;
  readonly program?: keyof typeof PROGRAMS;
  readonly dropout?: boolean;
  readonly sharedBeginnings?: boolean;
  readonly device: CompiledDevice;
  readonly precision: Precision;
  readonly everyLayer?: boolean;
  readonly onnx?: string;
}

const HELP = `
The graph is the one that ONNX Runtime runs, after the last of the passes listed at the end. Weights are read only for
cuda and webgpu, whose graphs hold them. The ONNX file names the weights without holding them; Netron
(https://netron.app) displays it.`;

export function addGraphCommand(program: Command): void {
  const command = program
    .command('graph')
    .description('Print the graph that computes a base model with an adapter, operator by operator.')
    .requiredOption('--base <folder>', 'Folder of the base model.')
    .option('--adapter <folder>', 'PEFT folder of the adapter.')
    .addOption(
      new Option('--program <name>', 'Results that the graph computes.')
        .choices(Object.keys(PROGRAMS))
        .default(undefined, 'gradients with an adapter, else losses'),
    )
    .option('--dropout', "Drop inputs of the adapter's layers, as in training. Only gradients have this.")
    .option('--shared-beginnings', 'Compute the common beginning of sequences only once. Only gradients have this.')
    .addOption(
      new Option('--device <name>', 'Device that the graph is made for.')
        .choices(['cpu', 'cuda', 'webgpu'])
        .default('cpu'),
    )
    .addOption(new Option('--precision <name>', "Precision of the base's matrices.").choices(PRECISIONS).default('f32'))
    .option('--every-layer', 'Print every layer in full, also if it is like an earlier one.')
    .option('--onnx <file>', 'File that the graph is written to as an ONNX model.')
    .addHelpText('after', HELP)
    .action(run);
  addJsonOption(command);
}

async function run(options: GraphOptions): Promise<void> {
  const { adapter, dropout, sharedBeginnings, json, everyLayer, onnx } = options;
  const kind = options.program ?? (adapter === undefined ? 'losses' : 'gradients');
  if (kind === 'gradients' && adapter === undefined) {
    throw new UsageError('--program gradients needs --adapter, whose factors the gradients belong to');
  }
  for (const [flag, given] of Object.entries({ '--dropout': dropout, '--shared-beginnings': sharedBeginnings })) {
    if (given && kind !== 'gradients') throw new UsageError(`${flag} needs --program gradients, found ${kind}`);
  }
  const stages = await traceStages(options, PROGRAMS[kind]);
  if (onnx !== undefined) {
    const { encodeSplitModel } = await import('../../core/engine/onnx/encode-model.ts');
    const { writeFileAtomic } = await import('../../core/formats/atomic-file.ts');
    await writeFileAtomic(onnx, encodeSplitModel(stages.at(-1)!.graph).model);
  }
  const { renderStages, stagesDocument } = await import('../reports/graph-report.ts');
  ignoreClosedPipe();
  if (json) createOutput({ json }).result({ program: kind, ...stagesDocument(stages) }, []);
  else process.stdout.write(renderStages(stages, { everyLayer: everyLayer ?? false }));
}

async function traceStages(
  { base, adapter, device, precision, dropout = false, sharedBeginnings: repeats = false }: GraphOptions,
  kind: (typeof PROGRAMS)[keyof typeof PROGRAMS],
) {
  const { executionProviderOf } = await import('../../core/engine/devices/execution-provider.ts');
  const { programSpec } = await import('../../core/engine/decoder/program-spec.ts');
  const { programStages } = await import('../../core/engine/tracer/program-stages.ts');
  const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
  const provider = executionProviderOf(device, precision);
  const { config, weights } = await readBase(base, provider.keepsWeights);
  const loaded = adapter === undefined ? null : await loadAdapter(adapter, config);
  return programStages(programSpec({ kind, config, adapter: loaded, dropout, repeats }), provider, weights);
}

async function readBase(folder: string, withWeights: boolean) {
  const { loadBaseModel } = await import('../../core/formats/hugging-face/hugging-face-model.ts');
  const { withModelWeights } = await import('../../core/formats/hugging-face/model-weights.ts');
  if (!withWeights)
    return {
      config: await withModelWeights(folder, (model) => Promise.resolve(model.config)),
      weights: new Map<string, Float32Array>(),
    };
  const { config, weights } = await loadBaseModel(folder);
  return { config, weights: new Map([...weights].map(([name, { data }]) => [name, data])) };
}

/** Ignores the error of a closed pipe, so that `readapt graph … | head` ends without an error. */
function ignoreClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
