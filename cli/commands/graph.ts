import { Option, type Command } from 'commander';
import type { CompiledDevice } from '../../core/options/devices.ts';
import { PRECISIONS, type Precision } from '../../core/options/precisions.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';

const PROGRAMS = { losses: 'labelLosses', gradients: 'gradients', logits: 'logits' } as const;

interface GraphOptions {
  readonly base: string;
  readonly adapter?: string;
  readonly program?: keyof typeof PROGRAMS;
  readonly dropout: boolean;
  readonly sharedBeginnings: boolean;
  readonly device: CompiledDevice;
  readonly precision: Precision;
  readonly everyLayer: boolean;
  readonly onnx?: string;
  readonly json: boolean;
}

const HELP = `
The graph is the last one of the list of passes at the end: what ONNX Runtime runs. Weights are not read, but for cuda
and webgpu, whose graphs hold them; the ONNX file only names them, and shows the graph in Netron (https://netron.app).`;

export function register(program: Command): void {
  program
    .command('graph')
    .description('print the graph that a base model and an adapter are computed with, operator by operator')
    .requiredOption('--base <dir>', 'base model folder')
    .option('--adapter <dir>', 'PEFT adapter folder')
    .addOption(
      new Option('--program <name>', 'what it computes (default: gradients with an adapter, else losses)').choices(
        Object.keys(PROGRAMS),
      ),
    )
    .option('--dropout', "of gradients: inputs of the adapter's layers are dropped", false)
    .option('--shared-beginnings', 'of gradients: what sequences of a batch have in common is computed once', false)
    .addOption(
      new Option('--device <name>', 'that the graph is written for').choices(['cpu', 'cuda', 'webgpu']).default('cpu'),
    )
    .addOption(
      new Option('--precision <name>', "what the base's matrices are kept in").choices(PRECISIONS).default('f32'),
    )
    .option('--every-layer', 'write out layers that are like an earlier one, too', false)
    .option('--onnx <file>', 'write the graph as an ONNX model')
    .option('--json', 'print one JSON document on stdout', false)
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: GraphOptions): Promise<void> {
  const { adapter, json, everyLayer, onnx } = options;
  const kind = options.program ?? (adapter === undefined ? 'losses' : 'gradients');
  if (kind === 'gradients' && adapter === undefined)
    throw new UsageError('--program gradients needs --adapter: its factors are what is trained');
  if (kind !== 'gradients' && options.dropout)
    throw new UsageError(`--dropout is of --program gradients, found ${kind}`);
  if (kind !== 'gradients' && options.sharedBeginnings)
    throw new UsageError(`--shared-beginnings is of --program gradients, found ${kind}`);
  const stages = await traceStages(options, PROGRAMS[kind]);
  if (onnx !== undefined) {
    const { encodeSplitModel } = await import('../../core/engine/onnx/encode-model.ts');
    const { writeFileAtomic } = await import('../../core/formats/atomic-file.ts');
    await writeFileAtomic(onnx, encodeSplitModel(stages.at(-1)!.graph).model);
  }
  const { renderStages, stagesDocument } = await import('../reports/graph-report.ts');
  ignoreClosedPipe();
  if (json) createOutput({ json }).result({ program: kind, ...stagesDocument(stages) }, []);
  else process.stdout.write(renderStages(stages, { everyLayer }));
}

async function traceStages(
  { base, adapter, device, precision, ...options }: GraphOptions,
  kind: (typeof PROGRAMS)[keyof typeof PROGRAMS],
) {
  const { executionProviderOf } = await import('../../core/engine/devices/execution-provider.ts');
  const { programSpec } = await import('../../core/engine/decoder/program-spec.ts');
  const { programStages } = await import('../../core/engine/tracer/program-stages.ts');
  const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
  const provider = executionProviderOf(device, precision);
  const { config, weights } = await readBase(base, provider.keepsWeights);
  const loaded = adapter === undefined ? null : await loadAdapter(adapter, config);
  const { dropout, sharedBeginnings: repeats } = options;
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

/** `readapt graph … | head` ends quietly. */
function ignoreClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
