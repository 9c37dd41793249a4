import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEVICE_CHOICES, type DeviceChoice } from '../../core/options/devices.ts';
import { PRECISION_SETTINGS, type PrecisionSetting } from '../../core/options/precisions.ts';

/** What every command without a server understands. */
export interface CommonOptions {
  readonly json: boolean;
  readonly seed: number;
  readonly device: DeviceChoice;
  readonly precision: PrecisionSetting;
  readonly threads?: number;
}

/** Adds `--json --seed --device --precision --threads`. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON document on stdout; logs stay on stderr', false)
    .option('--seed <n>', 'seed of everything that is random', integer(0), 0)
    .addOption(fromEnvironment(deviceOption().default('auto'), 'READAPT_DEVICE'))
    .addOption(fromEnvironment(precisionOption(), 'READAPT_PRECISION'))
    .option('--threads <n>', 'threads of the runtime (default: one a core)', integer(1));
}

/** `--device`, without a default. */
export function deviceOption(): Option {
  return new Option('--device <name>', 'what computes (READAPT_DEVICE); `readapt devices` lists them').choices(
    DEVICE_CHOICES,
  );
}

function precisionOption(): Option {
  const description =
    "what the base's matrices are kept in (READAPT_PRECISION); auto: int8 on the CPU where it is fast and near f32";
  return new Option('--precision <name>', description).choices(PRECISION_SETTINGS).default('auto');
}

/** The option with a variable that stands for it; a blank one counts as unset. */
function fromEnvironment(option: Option, variable: string): Option {
  return (process.env[variable] ?? '').trim() === '' ? option : option.env(variable);
}

/** Parser of an integer option of at least `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= minimum) return value;
    throw new InvalidArgumentError(`expected an integer of at least ${minimum}, found "${text}".`);
  };
}

/** Parser of a finite number; `positive` refuses zero and below. */
export function number(constraint: 'any' | 'positive' = 'any'): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && (constraint === 'any' || value > 0)) return value;
    throw new InvalidArgumentError(
      `expected a ${constraint === 'positive' ? 'positive ' : ''}number, found "${text}".`,
    );
  };
}
