import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_MARGIN, GateRule, type CriticalSlice, type INCONCLUSIVE_POLICIES } from '../../core/options/gates.ts';
import { UsageError } from '../process/errors.ts';
import { schemaOption } from './schema-option.ts';

export interface GateOptions {
  readonly target?: number;
  readonly margin?: number;
  readonly nonInferior?: number;
  readonly confidence?: number;
  readonly onInconclusive?: (typeof INCONCLUSIVE_POLICIES)[number];
  readonly maxNegativeFlips?: number;
  readonly criticalSlice?: readonly CriticalSlice[];
  readonly certifiedSlice?: readonly CriticalSlice[];
}

export function addGateOptions(command: Command): Command {
  const [{ properties: absolute }, { properties: relative }, { properties: nonInferiority }] = GateRule.anyOf;
  return command
    .optionsGroup('Gate options (one of --target, --margin and --non-inferior):')
    .addOption(schemaOption('--target <x>', absolute.target))
    .addOption(schemaOption('--margin <x>', relative.margin).default(undefined, String(DEFAULT_MARGIN)))
    .addOption(schemaOption('--non-inferior <x>', nonInferiority.margin))
    .addOption(schemaOption('--confidence <x>', relative.confidence))
    .addOption(schemaOption('--on-inconclusive <policy>', relative.on_inconclusive))
    .addOption(schemaOption('--max-negative-flips <x>', absolute.max_negative_flips))
    .addOption(
      sliceOption('--critical-slice', false, 'A slice whose value may not be worse by more than a margin of its own.'),
    )
    .addOption(
      sliceOption('--certified-slice', true, 'The same, and it has to be certified, as all rows together are.'),
    );
}

/** Builds a repeatable option with the name of a slice and its margin. */
function sliceOption(flag: string, certify: boolean, description: string): Option {
  return new Option(`${flag} <name=margin>`, `${description} May be given several times.`).argParser(
    (text: string, before: readonly CriticalSlice[] | undefined) => [...(before ?? []), sliceOf(text, certify)],
  );
}

/** Parses NAME=MARGIN. The name itself may contain an equals sign. */
function sliceOf(text: string, certify: boolean): CriticalSlice {
  const at = text.lastIndexOf('=');
  const [name, margin] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  if (name === '' || margin.trim() === '' || !(Number(margin) >= 0 && Number(margin) < Infinity)) {
    throw new InvalidArgumentError('It is not NAME=MARGIN with a finite margin of at least 0.');
  }
  return { name, margin: Number(margin), ...(certify && { certify }) };
}

/** Turns options into a gate rule. @throws UsageError if options exclude each other */
export function gateOf({ target, margin, nonInferior, ...options }: GateOptions): GateRule {
  const given = Object.entries({ '--target': target, '--margin': margin, '--non-inferior': nonInferior });
  const [first, second] = given.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (second !== undefined) throw new UsageError(`${first} and ${second} exclude each other: give one of them`);
  const { confidence, onInconclusive, maxNegativeFlips } = options;
  const shared = {
    ...(confidence !== undefined && { confidence }),
    ...(onInconclusive !== undefined && { on_inconclusive: onInconclusive }),
    ...(maxNegativeFlips !== undefined && { max_negative_flips: maxNegativeFlips }),
  };
  const slices = slicesOf(options);
  if (target !== undefined) {
    if (slices.length === 0) return { kind: 'absolute', target, ...shared };
    throw new UsageError(
      '--target compares with no earlier version, so that no slice can have a margin: give --margin',
    );
  }
  const compared = { ...shared, ...(slices.length > 0 && { slices }) };
  if (nonInferior !== undefined) return { kind: 'non_inferiority', margin: nonInferior, ...compared };
  return { kind: 'relative', margin: margin ?? DEFAULT_MARGIN, ...compared };
}

/** Collects critical and certified slices. @throws UsageError if a slice is named twice */
function slicesOf({ criticalSlice = [], certifiedSlice = [] }: GateOptions): CriticalSlice[] {
  const slices = [...criticalSlice, ...certifiedSlice];
  const twice = slices.find(({ name }, index) => slices.findIndex((slice) => slice.name === name) < index);
  if (twice) throw new UsageError(`slice ${twice.name} is named twice`);
  return slices;
}
