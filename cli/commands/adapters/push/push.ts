import { Option, type Command } from 'commander';
import { METRICS } from '../../../../core/options/metrics.ts';
import { addOptionsLater } from '../../../options/later-options.ts';
import { labels } from '../../../remote/collect.ts';
import { addServiceOptions, withService } from '../../../remote/service.ts';
import type { PushOptions } from './push-adapter.ts';

const EXAMPLES = [
  '# a new adapter, with the rows of its task and a gate',
  'readapt adapters push ./sentiment --name review-sentiment --base-model my-llama --base-version 1 \\',
  '    --data rows.jsonl --metric accuracy --margin 0.03',
  '# another version of it, trained anew',
  'readapt adapters push ./sentiment-2 --name review-sentiment --base-version 1',
  '# one that the service fetches, with the token in HF_TOKEN',
  'readapt adapters push hf://my-org/sentiment@v3 --hub-token --name review-sentiment --base-version 1',
];

export function addAdaptersPushCommand(adapters: Command): void {
  const command = adapters
    .command('push')
    .description('Import a PEFT folder as a version of an adapter, which is created if there is none of the name.')
    .argument(
      '<folder>',
      'PEFT folder of the adapter; or hf://ORG/NAME@REVISION or s3://BUCKET/PREFIX, which the service fetches.',
    )
    .requiredOption('--name <name>', 'Name of the adapter, or its identifier.')
    .requiredOption(
      '--base-version <version>',
      'Version of the base model that it was trained on: its text or identifier.',
    )
    .option('--hub-token', 'Send the token in HF_TOKEN along, by which the service reads hf:// this once.')
    .optionsGroup('For a new adapter:')
    .option('--base-model <model>', 'Its base model: the name or identifier.')
    .option('--data <file>', 'JSONL file with the rows of its task, which becomes a dataset (docs/data.md).')
    .option('--dataset <dataset>', 'A dataset that is there already, in place of --data: its name or identifier.')
    .addOption(new Option('--metric <name>', 'What its gate measures.').choices(METRICS))
    .addOption(new Option('--label <key=value>', 'A label of it. May be given several times.').argParser(labels))
    .option('--tenant <id>', 'Its owner, which operators have to name.')
    .action(push);
  command.optionsGroup('Options:');
  addServiceOptions(command, EXAMPLES);
  addOptionsLater(adapters, command, async () => {
    const { addGateOptions } = await import('../../../options/gate-options.ts');
    addGateOptions(command);
  });
}

async function push(folder: string, options: PushOptions): Promise<void> {
  const { pushAdapter } = await import('./push-adapter.ts');
  await withService(options, (service) => pushAdapter(service, folder, options));
}
