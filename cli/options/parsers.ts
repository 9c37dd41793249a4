import { InvalidArgumentError } from 'commander';
import { BASE_NAME_EXPECTED, isBaseName } from '../../core/options/base-names.ts';
import { DEVICE_EXPECTED, isDevice, type Device, type DeviceChoice } from '../../core/options/devices.ts';
import { quoted } from '../process/errors.ts';

/** Returns a parser of finite numbers. `expected` says in the error message which numbers are legal. */
export function number(isLegal: (value: number) => boolean, expected: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && isLegal(value)) return value;
    throw new InvalidArgumentError(`expected ${expected}, found "${text}".`);
  };
}

/** Returns a parser of integers of at least `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return number((value) => Number.isSafeInteger(value) && value >= minimum, `an integer of at least ${minimum}`);
}

/** Parses a device, such as `cpu` or `cuda:1`. */
export function device(text: string): Device {
  if (isDevice(text)) return text;
  throw new InvalidArgumentError(`expected ${DEVICE_EXPECTED}, found ${quoted(text)}.`);
}

/** Parses a device, or `auto`. */
export function deviceChoice(text: string): DeviceChoice {
  return text === 'auto' ? text : device(text);
}

/** Parses a base model's name, which is written into `adapter_config.json`. */
export function baseName(text: string): string {
  if (isBaseName(text)) return text;
  throw new InvalidArgumentError(`expected ${BASE_NAME_EXPECTED}, found ${quoted(text)}.`);
}

/** Pattern of a list of module names, which may contain dots, separated by commas. */
const NAMES = /^[\w.]+(\s*,\s*[\w.]+)*$/;

/** Parses target modules: `all-linear`, a list of names, or else a regular expression for whole names. */
export function targets(text: string): string[] | string {
  const trimmed = text.trim();
  if (trimmed === '') throw new InvalidArgumentError('expected names of modules, a regular expression or all-linear.');
  return NAMES.test(trimmed) ? trimmed.split(',').map((name) => name.trim()) : trimmed;
}

/** Parses numbers of layers and ranges that include both ends (`0,2,8-11`). Returns them sorted, each once. */
export function layers(text: string): number[] {
  const numbers = text.split(',').flatMap((part) => range(part.trim()));
  return [...new Set(numbers)].sort((a, b) => a - b);
}

const MAX_LAYERS = 10_000;

function range(part: string): number[] {
  const [, first, last = first] = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(part) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (from <= to && to < MAX_LAYERS) return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  throw new InvalidArgumentError(`expected numbers of layers and ranges such as 0,2,8-11, found "${part}".`);
}
