import { readFileSync } from 'node:fs';

/** Files of an adapter by name. */
export type AdapterFiles = Readonly<Record<string, Buffer>>;

/** Valid adapter. */
export interface HostileAdapter {
  readonly files: () => AdapterFiles;
  /** Text of the refusal. */
  readonly refusal: RegExp;
}

const SOUND = new URL('../../fixtures/golden/broken/control/adapter/', import.meta.url);
const WEIGHTS = 'adapter_model.safetensors';
const CONFIG = 'adapter_config.json';

/** Valid adapter. */
export function soundAdapter(): AdapterFiles {
  return Object.fromEntries([CONFIG, WEIGHTS].map((name) => [name, readFileSync(new URL(name, SOUND))]));
}

/** Safetensors file with an arbitrary header. */
export function safetensorsOf(header: Buffer | string, data = Buffer.alloc(0)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

/** Safetensors header of empty tensors. */
export function headerOfTensors(names: Iterable<string>): string {
  const entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
  return `{${Array.from(names, (name) => `${JSON.stringify(name)}:${entry}`).join(',')}}`;
}

function withHeader(header: () => Buffer | string, refusal: RegExp): HostileAdapter {
  return { files: () => ({ ...soundAdapter(), [WEIGHTS]: safetensorsOf(header()) }), refusal };
}

function withConfig(fields: () => Record<string, unknown>, refusal: RegExp): HostileAdapter {
  return {
    files() {
      const sound = soundAdapter();
      const config = JSON.parse(sound[CONFIG]!.toString()) as object;
      return { ...sound, [CONFIG]: Buffer.from(JSON.stringify({ ...config, ...fields() })) };
    },
    refusal,
  };
}

function withManifest(text: () => string, refusal: RegExp): HostileAdapter {
  return { files: () => ({ ...soundAdapter(), 'readapt.json': Buffer.from(text()) }), refusal };
}

/** Object with keys `k0`, `k1`, … and one value. */
function keys(count: number, value: unknown): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]));
}

/** JSON `{"k0000000":0,"k0000001":0,…}` of about the given size, written in place: a list of the keys takes seconds. */
function manyKeys(bytes: number): Buffer {
  const entry = '"k0000000":0,';
  const count = Math.floor(bytes / entry.length);
  const json = Buffer.alloc(1 + count * entry.length, entry, 'latin1');
  json.copyWithin(1, 0, json.length - 1);
  json[0] = '{'.charCodeAt(0);
  const lastDigit = 1 + entry.indexOf('"', 1) - 1;
  // Each key is that of `earlier` keys before, which differs in one digit only.
  for (let earlier = 1, digit = lastDigit; earlier < count; earlier *= 10, digit--) {
    for (let copied = earlier; copied < Math.min(count, 10 * earlier); copied += earlier) {
      json.copyWithin(1 + copied * entry.length, 1 + (copied - earlier) * entry.length, 1 + copied * entry.length);
      const end = Math.min(json.length, (copied + earlier) * entry.length);
      for (let at = copied * entry.length + digit; at < end; at += entry.length) json[at]!++;
    }
  }
  json[json.length - 1] = '}'.charCodeAt(0);
  return json;
}

const ENDLESS = '(.+)+_nothing$';
const OVER_LENGTH = /over the limit of 4194304 bytes/;

export const hostileAdapters: Readonly<Record<string, HostileAdapter>> = {
  'a header of 90 MB with millions of keys': withHeader(() => manyKeys(90_000_000), OVER_LENGTH),
  'a header of 90 MB of nested lists': withHeader(() => Buffer.alloc(90_000_000, '['), OVER_LENGTH),
  'a tensor name of 80 MB': withHeader(() => headerOfTensors(['x'.repeat(80_000_000)]), OVER_LENGTH),
  'a header of 4 MB of nested lists': withHeader(() => Buffer.alloc(4_000_000, '['), /nested deeper than 3 levels/),
  'a header of 4 MB with many keys': withHeader(() => manyKeys(4_000_000), /more than 32769 keys in one object/),
  'a tensor with many keys': withHeader(
    () => Buffer.concat([Buffer.from('{"w":'), manyKeys(4_000_000), Buffer.from('}')]),
    /more than 32769 keys in one object/,
  ),
  'a tensor name of 4 MB': withHeader(
    () => headerOfTensors(['x'.repeat(4_000_000)]),
    /key of 4000000 characters .*expected at most 512/,
  ),
  'a shape of a million sizes': withHeader(
    () => `{"w":{"dtype":"F32","shape":[${'1,'.repeat(1_000_000)}1],"data_offsets":[0,4]}}`,
    /expected sizes, at most 8/,
  ),
  'an endless expression as target_modules': withConfig(() => ({ target_modules: ENDLESS }), /takes over 1000 ms/),
  'endless expressions in every field': withConfig(
    () => ({
      target_modules: `.*|${ENDLESS}`,
      exclude_modules: ENDLESS,
      rank_pattern: { [ENDLESS]: 2 },
      alpha_pattern: { [ENDLESS]: 2 },
    }),
    /takes over 1000 ms/,
  ),
  'an endless expression as layers_pattern': withConfig(
    () => ({ layers_to_transform: [0], layers_pattern: `${'(.*)*'.repeat(12)}x` }),
    /takes over 1000 ms/,
  ),
  'a rank_pattern of 80,000 keys': withConfig(
    () => ({ rank_pattern: keys(80_000, 2) }),
    /more than 4096 keys in one object/,
  ),
  'target_modules of 80,000 names': withConfig(
    () => ({ target_modules: Object.keys(keys(80_000, 0)) }),
    /holds 80000 values, expected at most 4096/,
  ),
  'an expression of a million characters': withConfig(
    () => ({ target_modules: `${'(a|'.repeat(250_000)}q_proj` }),
    /is longer than 2000/,
  ),
  'a field name of a million characters': withConfig(
    () => ({ ['x'.repeat(1_000_000)]: true }),
    /key of 1000000 characters .*expected at most 2000/,
  ),
  'a deeply nested config': {
    files: () => ({ ...soundAdapter(), [CONFIG]: Buffer.alloc(1_000_000, '[') }),
    refusal: /nested deeper than 16 levels/,
  },
  'a deeply nested manifest': withManifest(() => '['.repeat(1_000_000), /nested deeper than 16 levels/),
  'a manifest of 20,000 files': withManifest(
    () => JSON.stringify({ files: keys(20_000, { sha256: '', bytes: 0 }) }),
    /more than 4096 keys in one object/,
  ),
};
