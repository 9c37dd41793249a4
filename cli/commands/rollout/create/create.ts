import { Option, type Command } from 'commander';
import { addOptionsLater } from '../../../options/later-options.ts';
import { addServiceOptions, withService } from '../../../remote/service.ts';
import { number } from '../../../options/parsers.ts';
import type { CreateOptions } from './rollout-request.ts';
import { addPolicyOptions } from './policy-options.ts';

const EXAMPLES = [
  '# what a rollout to a new version would do, and how long it would take; the version is registered by that',
  'readapt rollout create --base-model my-llama --base-version 2 --path /models/my-llama-v2 --dry-run',
  '# the same rollout, with a canary of five, a second wave of a fifth, and a person who releases each; followed ' +
    'to its end',
  'readapt rollout create --base-model my-llama --base-version 2 --wave 5 --wave 20% --approve manual --watch',
  '# from a file (YAML or JSON) with base_model, version, path and options by the names of the API; flags go before it',
  'readapt rollout create --file rollout.yaml --pause-if unready_share=0.2',
];

const NOTES = `
With --watch, the exit codes are those of \`readapt rollout watch\`.`;

export function addRolloutCreateCommand(rollout: Command): void {
  const command = rollout
    .command('create')
    .description('Carry a fleet over to a version of its base model: one that is registered, or with --path a new one.')
    .option('--base-model <model>', 'The base model: its name or identifier.')
    .option(
      '--base-version <version>',
      'The version to carry over to: its text with --base-model, or its identifier bmv_….',
    )
    .option(
      '--path <place>',
      "Register the version first: a folder of the service's machine, hf://ORG/NAME@REVISION, s3://BUCKET/PREFIX " +
        'or upload://bmu_….',
    )
    .option('--serving-name <name>', 'With --path: what serving engines call the version.')
    .option('--retires-at <time>', 'With --path: when the version is no longer served, as 2027-01-31T00:00:00Z.')
    .option('--file <file>', 'File in YAML or JSON with what the rollout is to do. Flags go before it.')
    .option('--dry-run', 'Say what the rollout would do and how long it would take, and begin nothing.')
    .option('--watch', 'Follow the rollout until it has ended.')
    .option('--until-waiting', 'With --watch: end also when the rollout is paused, or a wave waits for an approval.')
    .addOption(
      new Option('--control <which>', 'Adapters that are also trained from scratch, to measure the speed-up.').choices([
        'none',
        'sample',
        'all',
      ]),
    )
    .option(
      '--control-fraction <x>',
      'Share of the adapters in the sample.',
      number((value) => value >= 0 && value <= 1, 'a number from 0 to 1'),
    )
    .action(create);
  addServiceOptions(command, EXAMPLES).addHelpText('after', NOTES);
  addPolicyOptions(command);
  addOptionsLater(rollout, command, async () => {
    const { addJobOptions } = await import('../../../options/job-options.ts');
    addJobOptions(command);
  });
}

async function create(options: CreateOptions): Promise<void> {
  const { requestOf } = await import('./rollout-request.ts');
  const request = await requestOf(options);
  const { beginRollout, printDryRun } = await import('./begin.ts');
  await withService(
    options,
    (service) => (options.dryRun ? printDryRun(service, request, options) : beginRollout(service, request, options)),
    { following: options.watch === true },
  );
}
