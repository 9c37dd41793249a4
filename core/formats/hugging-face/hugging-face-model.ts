import { ArrayParts } from '../../models/array-parts.ts';
import type { BaseModel, Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { FileBackedWeights } from './file-backed-weights.ts';
import { hashTensorName, hashValues, startFingerprint } from './fingerprint.ts';
import { openModelWeights, withModelWeights, type ModelWeights, type OpenOptions } from './model-weights.ts';

/**
 * Loads a base model as float32. Loading is strict: every expected tensor must be present with the expected shape and
 * finite values, and other tensors are refused.
 * @param folder holds config.json and safetensors files
 * @param options architectures that can be loaded (default: those that Readapt ships), and the record of files that
 * were verified before
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function loadBaseModel(folder: string, options: OpenOptions = {}): Promise<BaseModel> {
  return withModelWeights(folder, (model) => load(model, () => false), options);
}

/** A base model, some of whose weights may be left in their files. The files stay open until the model is closed. */
export interface OpenBaseModel extends BaseModel {
  /** Drops from memory the weights that {@link OpenDiskOptions.cacheRead} has cached. */
  evict(): void;
  /** Closes the files. Weights left in files can no longer be read; weights in memory can. */
  close(): Promise<void>;
}

export interface OpenDiskOptions extends OpenOptions {
  /**
   * Whether weights that are left in files are also cached in memory when they are read for checking. They stay there
   * until {@link OpenBaseModel.evict}, so that a caller that needs all of them at once need not read them a second
   * time. Default: false.
   */
  readonly cacheRead?: boolean;
}

/**
 * Loads a base model as {@link loadBaseModel} does, but leaves the weights whose names `onDisk` accepts on disk after
 * checking them. Each of them is read at every access, so that it occupies memory only while it is in use.
 */
export async function openBaseModel(
  folder: string,
  onDisk: (name: string) => boolean,
  options: OpenDiskOptions = {},
): Promise<OpenBaseModel> {
  const model = await openModelWeights(folder, options);
  try {
    const base = await load(model, onDisk, options.cacheRead);
    const { weights } = base;
    if (!(weights instanceof FileBackedWeights)) await model.close();
    const evict = () => weights instanceof FileBackedWeights && weights.evict();
    return { ...base, evict: () => void evict(), close: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function load(model: ModelWeights, onDisk: (name: string) => boolean, cacheRead = false): Promise<BaseModel> {
  const isKept = (name: string) => !onDisk(name);
  const { read, fingerprint } = await readAll(model, { isKept, cacheRead });
  // Tensors were read in name order; the result is in the architecture's order.
  const inOrder = model.names.flatMap((name) => {
    const tensor = read.get(name);
    return tensor ? [[name, tensor] as const] : [];
  });
  const kept = new Map(inOrder.filter(([name]) => isKept(name)));
  const isWhole = kept.size === model.names.length;
  const weights = isWhole ? kept : new FileBackedWeights(model, kept, read);
  return { config: model.config, weights, fingerprint };
}

/** Facts about a base model version that are stored when it is registered. */
interface BaseModelDescription {
  readonly config: ModelConfig;
  readonly fingerprint: string;
  /** Number of parameters: the stored values of all tensors together. */
  readonly parameters: number;
  /** Number formats (dtypes) of the tensors in the files. */
  readonly dtypes: readonly string[];
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/**
 * Checks a base model as strictly as {@link loadBaseModel} and describes it. Values are read in pieces, or not at all
 * if the files were verified before.
 * @throws FormatError
 */
export async function describeBaseModel(folder: string, options: OpenOptions = {}): Promise<BaseModelDescription> {
  const describe = async (model: ModelWeights) => {
    const { fingerprint } = await readAll(model, { isKept: () => false, cacheRead: false });
    const tensors = model.names.map((name) => ({ name, shape: model.shape(name) }));
    const parameters = tensors.reduce((total, { shape }) => total + shape.reduce((size, n) => size * n, 1), 0);
    return { config: model.config, fingerprint, parameters, dtypes: model.dtypes, tensors };
  };
  return withModelWeights(folder, describe, options);
}

/**
 * Reads the weights that `isKept` accepts into memory. Also reads and checks all other weights, unless the files were
 * verified before.
 */
async function readAll(
  model: ModelWeights,
  { isKept, cacheRead }: { readonly isKept: (name: string) => boolean; readonly cacheRead: boolean },
) {
  const names = [...model.names].sort();
  const read = new Map<string, Tensor>();
  if (model.verified !== null) {
    for (const name of names) if (isKept(name)) read.set(name, await model.read(name));
    return { read, fingerprint: model.verified };
  }
  const hash = startFingerprint(model.config);
  const onDisk = names.filter((name) => !isKept(name)).map((name) => sizeOf(model, name));
  const held = cacheRead
    ? new ArrayParts(
        Float32Array,
        onDisk.reduce((total, size) => total + size, 0),
      )
    : null;
  for (const name of names) {
    hashTensorName(hash, name, model.shape(name));
    if (!held && !isKept(name)) {
      await model.scan(name, (piece) => hashValues(hash, piece));
      continue;
    }
    const tensor = await model.read(name, isKept(name) ? undefined : held?.take(sizeOf(model, name)));
    hashValues(hash, tensor.data);
    read.set(name, tensor);
  }
  const fingerprint = hash.digest('hex');
  await model.remember(fingerprint);
  return { read, fingerprint };
}

function sizeOf(model: ModelWeights, name: string): number {
  return model.shape(name).reduce((product, size) => product * size, 1);
}
