import { createHash, type Hash } from 'node:crypto';
import type { ParseOptions } from '../models/architecture.ts';
import type { BaseModel, Tensor } from '../models/base-model.ts';
import type { ModelConfig } from '../models/model-config.ts';
import { openModelWeights, type ModelWeights } from './model-weights.ts';

export { openModelWeights, readModelConfig, type ModelWeights } from './model-weights.ts';

/** What registration needs to know of a base model. */
export interface BaseModelDescription {
  readonly config: ModelConfig;
  readonly fingerprint: string;
  readonly parameters: number;
  /** As stored. */
  readonly dtypes: readonly string[];
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/**
 * Loads a base model as float32, strictly: every expected tensor, no other, shapes, finite values.
 * @param folder with config.json and safetensors files
 * @param options which architectures can be loaded; default: those that Readapt ships
 * @throws FormatError naming file, tensor or field, the value found and the one expected
 */
export async function loadBaseModel(folder: string, options: ParseOptions = {}): Promise<BaseModel> {
  const load = async (model: ModelWeights): Promise<BaseModel> => {
    const read = new Map<string, Tensor>();
    const fingerprint = await readAll(model, (name, tensor) => read.set(name, tensor));
    const weights = new Map(model.names.map((name) => [name, read.get(name)!]));
    return { config: model.config, weights, fingerprint };
  };
  return withModelWeights(folder, load, options);
}

/**
 * Checks a base model as strictly as {@link loadBaseModel} and describes it, holding one tensor at a time in memory.
 * @throws FormatError
 */
export async function describeBaseModel(folder: string): Promise<BaseModelDescription> {
  return withModelWeights(folder, async (model) => {
    const fingerprint = await readAll(model, () => undefined);
    const tensors = model.names.map((name) => ({ name, shape: model.shape(name) }));
    const parameters = tensors.reduce((total, { shape }) => total + shape.reduce((size, n) => size * n, 1), 0);
    return { config: model.config, fingerprint, parameters, dtypes: model.dtypes, tensors };
  });
}

/** Opens, hands the weights to `use`, and closes them whatever happens. */
export async function withModelWeights<T>(
  folder: string,
  use: (model: ModelWeights) => Promise<T>,
  options: ParseOptions = {},
): Promise<T> {
  const model = await openModelWeights(folder, options);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

/**
 * Fingerprint of a model in memory: SHA-256 (hex) over its config and every tensor's name, shape and float32 bytes, in
 * name order. The same weights give the same fingerprint however they are sharded.
 */
export function fingerprintOf(config: ModelConfig, weights: ReadonlyMap<string, Tensor>): string {
  const hash = startFingerprint(config);
  for (const name of [...weights.keys()].sort()) hashTensor(hash, name, weights.get(name)!);
  return hash.digest('hex');
}

/** Reads every tensor once, in name order, and returns the fingerprint. */
async function readAll(model: ModelWeights, take: (name: string, tensor: Tensor) => void): Promise<string> {
  const hash = startFingerprint(model.config);
  for (const name of [...model.names].sort()) {
    const tensor = await model.read(name);
    hashTensor(hash, name, tensor);
    take(name, tensor);
  }
  return hash.digest('hex');
}

/** Fields in name order and without nulls, so that a config field added later (null so far) changes no fingerprint. */
export function startFingerprint(config: ModelConfig): Hash {
  const fields = Object.entries(config).filter(([, value]) => value !== null);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(`${JSON.stringify(fields)}\n`);
}

export function hashTensor(hash: Hash, name: string, { shape, data }: Tensor): void {
  hash.update(`${JSON.stringify([name, shape])}\n`);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // One update call takes at most 2 GiB.
  for (let at = 0; at < bytes.length; at += 1 << 30) hash.update(bytes.subarray(at, at + (1 << 30)));
}
