import { InvalidArgumentError, Option, type Command } from 'commander';
import { isObjectName, OBJECT_NAME_EXPECTED } from '../../kubernetes/object-names.ts';
import { integer } from '../../options/parsers.ts';
import { quoted } from '../../process/errors.ts';
import { several } from '../../remote/collect.ts';
import { addServiceOptions } from '../../remote/service.ts';
import { FORMATS, type ExportOptions } from './export-request.ts';

const POOL =
  'A base model version (MODEL@VERSION or its identifier) and the InferencePool that serves it; for dynamo, ' +
  'the version alone. Several, oldest first.';

const GATEWAY = '--pool my-llama@1=llama-1 --pool my-llama@2=llama-2 --gateway inference-gateway';

const EXAMPLES = [
  `readapt export k8s --format llm-d ${GATEWAY} --output routes`,
  `readapt export k8s --format gateway-api ${GATEWAY} | kubectl apply -f -`,
  'readapt export k8s --format dynamo --pool my-llama@2 ' +
    "--source-uri 's3://adapters/{base_model_version_id}/{name}' --output models --follow",
];

const NOTES = `
Give the pool from which adapters move first. An adapter goes to the last pool on whose base model version it is
current, and stays on the first until it is current on another. Without --output, objects are printed, and
\`kubectl apply -f -\` takes them. It writes files; it never speaks with a cluster.`;

export function addExportCommands(program: Command): void {
  const exporting = program
    .command('export')
    .description('Write what is to be served, for those who route requests to it.');
  const command = exporting
    .command('k8s')
    .description(
      'Write objects of Kubernetes that move adapters from one pool of engines to the next as they become ready.',
    )
    .action(run);
  addCommonOptions(command);
  addGatewayOptions(command);
  command
    .optionsGroup('dynamo:')
    .option(
      '--source-uri <template>',
      'Where a version is found, such as s3://adapters/{base_model_version_id}/{name}.',
    );
  addOutputOptions(command);
  addServiceOptions(command, EXAMPLES).addHelpText('after', NOTES);
}

function addCommonOptions(command: Command): void {
  command
    .addOption(new Option('--pool <version=pool>', POOL).argParser(several).makeOptionMandatory())
    .addOption(new Option('--format <format>', 'For whom to write.').choices(FORMATS).makeOptionMandatory())
    .addOption(
      objectName(
        '--name <name>',
        'Begins the names of the objects, and is their label app.kubernetes.io/instance.',
      ).default('readapt'),
    )
    .addOption(objectName('--namespace <name>', 'Namespace of the objects and the pools. (default: that of kubectl)'));
}

function addGatewayOptions(command: Command): void {
  command
    .optionsGroup('gateway-api and llm-d:')
    .addOption(objectName('--gateway <name>', 'Gateway to which routes are attached.'))
    .addOption(objectName('--gateway-namespace <name>', "Its namespace. (default: the routes')"))
    .addOption(
      new Option(
        '--hostname <name>',
        'Only requests to this host. May be given several times. (default: all)',
      ).argParser(several),
    )
    .option('--no-rewrites', 'Leave out InferenceModelRewrite: the engines know which version an alias is.')
    .addOption(
      new Option('--model-header <name>', 'gateway-api: header that holds the `model` of the request.')
        .argParser(headerName)
        .default('X-Gateway-Model-Name'),
    )
    .addOption(
      new Option(
        '--config-maps <n>',
        'llm-d: into how many ConfigMaps the adapters of a pool are divided. Choose it once.',
      )
        .argParser(configMaps)
        .default(4),
    );
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('--output <folder>', 'Write a file a kind into this folder.')
    .option('--follow', 'Go on, and rewrite the files when something else is to be served, until Ctrl-C.')
    .addOption(new Option('--interval <seconds>', 'How often --follow asks.').argParser(integer(1)).default(5));
}

async function run(options: ExportOptions): Promise<void> {
  const { exportKubernetes } = await import('./export-kubernetes.ts');
  await exportKubernetes(options);
}

function objectName(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (isObjectName(text)) return text;
    throw new InvalidArgumentError(`expected ${OBJECT_NAME_EXPECTED}, found ${quoted(text)}.`);
  });
}

function headerName(text: string): string {
  if (/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/.test(text)) return text;
  throw new InvalidArgumentError(`expected the name of an HTTP header, found ${quoted(text)}.`);
}

/**
 * Largest legal value of `--config-maps`: beyond any real fleet, and low enough that a mistyped number does not write
 * thousands of objects.
 */
const MAX_CONFIG_MAPS = 256;

function configMaps(text: string): number {
  const count = integer(1)(text);
  if (count <= MAX_CONFIG_MAPS) return count;
  throw new InvalidArgumentError(`expected at most ${MAX_CONFIG_MAPS}, found ${count}.`);
}
