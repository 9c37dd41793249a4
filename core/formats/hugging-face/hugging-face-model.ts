import { createHash, type Hash } from 'node:crypto';
import type { ParseOptions } from './config/parse-model-config.ts';
import type { BaseModel, Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { FileBackedWeights } from './file-backed-weights.ts';
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
  return withModelWeights(folder, (model) => load(model, () => false), options);
}

/** A base model some of whose weights may have stayed in their files, which are then open until it is closed. */
export interface OpenBaseModel extends BaseModel {
  /** Weights in files can no longer be had; those in memory can. */
  close(): Promise<void>;
}

/**
 * {@link loadBaseModel}, but weights of the names that `onDisk` picks are checked and not kept: each is read again when it
 * is asked for, so that it takes memory only while somebody holds it.
 */
export async function openBaseModel(
  folder: string,
  onDisk: (name: string) => boolean,
  options: ParseOptions = {},
): Promise<OpenBaseModel> {
  const model = await openModelWeights(folder, options);
  try {
    const base = await load(model, onDisk);
    if (!(base.weights instanceof FileBackedWeights)) await model.close();
    return { ...base, close: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function load(model: ModelWeights, onDisk: (name: string) => boolean): Promise<BaseModel> {
  const read = new Map<string, Tensor>();
  const fingerprint = await readAll(model, (name, tensor) => onDisk(name) || read.set(name, tensor));
  const kept = new Map(model.names.flatMap((name) => (read.has(name) ? [[name, read.get(name)!]] : [])));
  const all = kept.size === model.names.length;
  return { config: model.config, weights: all ? kept : new FileBackedWeights(model, kept), fingerprint };
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
async function readAll(model: ModelWeights, take: (name: string, tensor: Tensor) => unknown): Promise<string> {
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
