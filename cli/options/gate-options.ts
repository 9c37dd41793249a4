import type { Command } from 'commander';
import { DEFAULT_MARGIN, GateRule, type INCONCLUSIVE_POLICIES } from '../../core/options/gates.ts';
import { UsageError } from '../errors.ts';
import { schemaOption } from './schema-option.ts';

export interface GateOptions {
  readonly target?: number;
  readonly margin?: number;
  readonly nonInferior?: number;
  readonly confidence?: number;
  readonly onInconclusive?: (typeof INCONCLUSIVE_POLICIES)[number];
  readonly maxNegativeFlips?: number;
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
    .addOption(schemaOption('--max-negative-flips <x>', absolute.max_negative_flips));
}

/** @throws UsageError if options exclude each other */
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
  if (target !== undefined) return { kind: 'absolute', target, ...shared };
  if (nonInferior !== undefined) return { kind: 'non_inferiority', margin: nonInferior, ...shared };
  return { kind: 'relative', margin: margin ?? DEFAULT_MARGIN, ...shared };
}
