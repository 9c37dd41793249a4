import { InvalidArgumentError, Option, type Command } from 'commander';

/** What every command without a server understands. */
export interface CommonOptions {
  readonly json: boolean;
  readonly seed: number;
  readonly device: 'auto' | 'cpu';
  readonly runtime: 'compiled' | 'eager';
  readonly threads?: number;
}

/** Adds `--json --seed --device --runtime --threads`. */
export function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON document on stdout; logs stay on stderr', false)
    .option('--seed <n>', 'seed of everything that is random', integer(0), 0)
    .addOption(new Option('--device <name>', 'where to compute').choices(['auto', 'cpu']).default('auto'))
    .addOption(
      new Option('--runtime <kind>', 'compiled (ONNX Runtime) or eager (TensorFlow.js, the reference)')
        .choices(['compiled', 'eager'])
        .default('compiled'),
    )
    .option('--threads <n>', 'threads of the runtime (default: one a core)', integer(1));
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
    throw new InvalidArgumentError(`expected a ${constraint === 'positive' ? 'positive ' : ''}number, found "${text}".`);
  };
}
