import { Option, type Command } from 'commander';
import { DEVICES, type DeviceChoice } from '../../core/options/devices.ts';
import { PRECISION_SETTINGS, type PrecisionSetting } from '../../core/options/precisions.ts';
import { baseName, deviceChoice, integer } from './parsers.ts';

/** Options of all commands that need no server. */
export interface CommonOptions extends JsonOption {
  readonly seed: number;
  readonly device: DeviceChoice;
  readonly precision: PrecisionSetting;
  readonly threads?: number;
}

export interface JsonOption {
  readonly json?: boolean;
}

/** Adds `--json --seed --device --precision --threads`. */
export function addCommonOptions(command: Command): Command {
  return addJsonOption(command.optionsGroup('Common options:'))
    .addOption(seedOption())
    .addOption(fromEnvironment(deviceOption().default('auto'), 'READAPT_DEVICE'))
    .addOption(fromEnvironment(precisionOption(), 'READAPT_PRECISION'))
    .option('--threads <n>', 'Number of threads that compute. (default: one for each core)', integer(1));
}

/** Builds `--base-name`, the name by which a serving engine knows the base of a written adapter. */
export function baseNameOption(): Option {
  const description =
    'Name or path of the base that the adapter gives to PEFT and vLLM (base_model_name_or_path). (default: ' +
    '--base, as it was given)';
  return new Option('--base-name <name>', description).argParser(baseName);
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'Print the result on stdout as one JSON document. Logs stay on stderr.');
}

export function seedOption(): Option {
  return new Option('--seed <n>', 'Seed of everything that is random.').argParser(integer(0)).default(0);
}

/** Builds `--device`, without a default. */
export function deviceOption(): Option {
  const description =
    'Device to compute on, instead of READAPT_DEVICE: auto, ' +
    `${DEVICES.join(', ')}, or cuda:N for one of several cards. \`readapt devices\` says which ones work here.`;
  return new Option('--device <name>', description).argParser(deviceChoice);
}

function precisionOption(): Option {
  const description =
    "Precision of the base's matrices, instead of READAPT_PRECISION. With auto, it is int8 on a CPU where that " +
    'measures fast and near f32, and f32 elsewhere.';
  return new Option('--precision <name>', description).choices(PRECISION_SETTINGS).default('auto');
}

/** Lets an environment variable set an option that is not given as a flag. A blank variable counts as unset. */
function fromEnvironment(option: Option, variable: string): Option {
  return (process.env[variable] ?? '').trim() === '' ? option : option.env(variable);
}
