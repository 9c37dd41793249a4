import { expectedWeights } from '../../models/architecture/architecture.ts';
import { parseModelConfig, type ParseOptions } from './config/parse-model-config.ts';
import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { isFloatDtype } from '../safetensors/dtypes.ts';
import { FormatError } from '../errors.ts';
import { readJsonInFolder, requireInFolder, resolveInFolder } from '../folder-files.ts';
import { isObject } from '../json.ts';
import { SafetensorsFile, type Allocate } from '../safetensors/safetensors.ts';
import { stampOf, type VerifiedFiles } from './verified-files.ts';

const CONFIG = 'config.json';
const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';

/** Weights of a base model's folder, open for reading one tensor at a time. The caller that opened them closes them. */
export interface ModelWeights {
  readonly config: ModelConfig;
  /** Names of all tensors of the model, in the architecture's order. */
  readonly names: readonly string[];
  /** Number formats (dtypes) of the tensors in the files. */
  readonly dtypes: readonly string[];
  /**
   * Fingerprint of the weights, if their values were checked before and the files have not changed since. Null means
   * that the values must be checked.
   */
  readonly verified: string | null;
  /**
   * Records that all values of these files were checked, and their fingerprint, so that they need no check next time.
   */
  remember(fingerprint: string): Promise<void>;
  shape(name: string): readonly number[];
  /**
   * Reads one tensor as float32.
   * @param spare an array that may be overwritten; it receives the values if it is long enough
   * @throws FormatError `not_finite` for an infinity or NaN
   */
  read(name: string, spare?: Float32Array): Promise<Tensor>;
  /** Reads one tensor as {@link read} does, but in pieces, which all reuse one array. */
  scan(name: string, visit: (piece: Float32Array) => void): Promise<void>;
  /**
   * Reads one tensor synchronously and without checking its values; only for a tensor that was read and checked before.
   */
  readSync(name: string, allocate?: Allocate): Tensor;
  close(): Promise<void>;
}

export interface OpenOptions extends ParseOptions {
  /** Record of files that were verified before. Default: none. */
  readonly verified?: VerifiedFiles | null | undefined;
}

/**
 * Opens the folder of a Hugging Face model (config.json with model.safetensors, or with an index and its shards) and
 * checks names and shapes of all tensors against the architecture. It reads no tensor, with one exception: a tied head
 * that is stored beside the embedding in files that were not verified. Then both are read and compared.
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function openModelWeights(folder: string, options: OpenOptions = {}): Promise<ModelWeights> {
  const config = await readModelConfig(folder, options);
  const files: SafetensorsFile[] = [];
  const close = async () => void (await Promise.all(files.map((file) => file.close())));
  try {
    const holders = await openHolders(folder, files);
    const names = checkNames(config, holders);
    const before = await stampOf(config, files);
    const verified = (await options.verified?.find(before.stamp)) ?? null;
    if (verified === null) await checkTiedHead(config, holders);
    const holder = (name: string) => holderOf(name, holders);
    return {
      config,
      names,
      verified,
      remember: async (fingerprint) => {
        const { stamp } = await stampOf(config, files);
        if (before.settled && stamp === before.stamp) await options.verified?.add(stamp, fingerprint);
      },
      dtypes: [...new Set(names.map((name) => holder(name).entry(name).dtype))],
      shape: (name) => holder(name).entry(name).shape,
      read: (name, spare) => holder(name).read(name, spare),
      scan: (name, visit) => holder(name).scan(name, visit),
      readSync: (name, allocate) => holder(name).readSync(name, allocate),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens the weights of a folder, passes them to `use`, and closes them whether `use` succeeds or fails. */
export async function withModelWeights<T>(
  folder: string,
  use: (model: ModelWeights) => Promise<T>,
  options: OpenOptions = {},
): Promise<T> {
  const model = await openModelWeights(folder, options);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

/**
 * Checks config, names and shapes of all tensors as strictly as {@link openModelWeights} does, without reading a value.
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function checkModelFiles(folder: string): Promise<ModelConfig> {
  const config = await readModelConfig(folder);
  const files: SafetensorsFile[] = [];
  try {
    checkNames(config, await openHolders(folder, files));
    return config;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/**
 * Reads and checks config.json.
 * @throws FormatError
 */
export async function readModelConfig(folder: string, options: ParseOptions = {}): Promise<ModelConfig> {
  return parseModelConfig(await readJsonInFolder(folder, CONFIG), CONFIG, options);
}

/** The open file that holds each tensor, by tensor name. */
type Holders = ReadonlyMap<string, SafetensorsFile>;

/** Opens the single file or all shards. Every opened file is added to `files`, for the caller to close. */
async function openHolders(folder: string, files: SafetensorsFile[]): Promise<Holders> {
  const single = await resolveInFolder(folder, SINGLE);
  if (single !== null) {
    const file = await SafetensorsFile.open(single, SINGLE);
    files.push(file);
    return new Map(file.names.map((name) => [name, file]));
  }
  if ((await resolveInFolder(folder, INDEX)) === null) throw await noWeights(folder);
  return openShards(folder, await readIndex(folder), files);
}

async function openShards(
  folder: string,
  index: ReadonlyMap<string, string>,
  files: SafetensorsFile[],
): Promise<Holders> {
  const shards = [...new Set(index.values())].sort();
  // All paths are resolved first, so that no shard is opened if one of the names is unsafe.
  const paths = new Map<string, string>();
  for (const shard of shards) paths.set(shard, await requireInFolder(folder, shard, INDEX));
  const holders = new Map<string, SafetensorsFile>();
  for (const [shard, path] of paths) {
    const file = await SafetensorsFile.open(path, shard);
    files.push(file);
    for (const name of file.names) {
      if (index.get(name) !== shard) throw misplaced(name, shard, index.get(name));
      holders.set(name, file);
    }
  }
  for (const [name, shard] of index) if (!holders.has(name)) throw missing(shard, name, `the index places it here`);
  return holders;
}

async function readIndex(folder: string): Promise<ReadonlyMap<string, string>> {
  const json = await readJsonInFolder(folder, INDEX);
  const map = isObject(json) ? json['weight_map'] : undefined;
  if (isObject(map) && Object.values(map).every((shard) => typeof shard === 'string')) {
    return new Map(Object.entries(map as Record<string, string>));
  }
  const message = 'weight_map is not an object of tensor names to file names';
  throw new FormatError({ code: 'invalid_index', file: INDEX, subject: 'weight_map', message });
}

/** Checks that exactly the expected tensors are present, with the expected shapes. Returns their names. */
function checkNames(config: ModelConfig, holders: Holders): string[] {
  const expected = new Map(expectedWeights(config).map((spec) => [spec.name, spec.shape]));
  for (const [name, shape] of expected) checkTensor(name, shape, holderOf(name, holders));
  for (const [name, holder] of holders) {
    if (expected.has(name) || isTolerated(name, config)) continue;
    const message = `unexpected tensor ${name}: ${whyUnexpected(name, config)}`;
    throw new FormatError({ code: 'unexpected_tensor', file: holder.file, subject: name, message });
  }
  return [...expected.keys()];
}

function checkTensor(name: string, shape: readonly number[], holder: SafetensorsFile): void {
  const entry = holder.entry(name);
  if (entry.shape.length !== shape.length || entry.shape.some((size, i) => size !== shape[i])) {
    const message = `tensor ${name} has shape [${entry.shape.join(', ')}], expected [${shape.join(', ')}] by ${CONFIG}`;
    throw new FormatError({ code: 'wrong_shape', file: holder.file, subject: name, message });
  }
  if (isFloatDtype(entry.dtype)) return;
  const message = `tensor ${name} is ${entry.dtype}, supported: F32, F16, BF16`;
  throw new FormatError({ code: 'unsupported_dtype', file: holder.file, subject: name, message });
}

/**
 * Whether a tensor that the model does not need is accepted. This is so for the rotary frequencies that old files store
 * although they follow from the config, and for a tied head beside the embedding.
 */
function isTolerated(name: string, config: ModelConfig): boolean {
  return name.endsWith('.rotary_emb.inv_freq') || (name === HEAD && config.tieWordEmbeddings);
}

/** Checks that a tied head equals the embedding, because readers disagree on which of the two a tied model uses. */
async function checkTiedHead(config: ModelConfig, holders: Holders): Promise<void> {
  const holder = holders.get(HEAD);
  if (!holder || !config.tieWordEmbeddings) return;
  checkTensor(HEAD, [config.vocabSize, config.hiddenSize], holder);
  const head = await holder.read(HEAD);
  const embedding = await holderOf(EMBEDDING, holders).read(EMBEDDING);
  if (Buffer.from(head.data.buffer).equals(Buffer.from(embedding.data.buffer))) return;
  const reason = `tie_word_embeddings is true in ${CONFIG}`;
  const message = `tensor ${HEAD} differs from ${EMBEDDING}, expected equal values: ${reason}`;
  throw new FormatError({ code: 'tied_head_differs', file: holder.file, subject: HEAD, message });
}

function holderOf(name: string, holders: Holders): SafetensorsFile {
  const holder = holders.get(name);
  if (holder) return holder;
  const files = [...new Set([...holders.values()].map((file) => file.file))];
  const [only] = files;
  throw missing(only !== undefined && files.length === 1 ? only : INDEX, name, `${CONFIG} asks for it`);
}

function whyUnexpected(name: string, config: ModelConfig): string {
  const layer = /^model\.layers\.(\d+)\./.exec(name)?.[1];
  if (layer !== undefined && Number(layer) >= config.numLayers) {
    return `${CONFIG} has ${config.numLayers} layers, so there is no layer ${layer}`;
  }
  return `a ${config.modelType} model has no such tensor`;
}

function missing(file: string, name: string, reason: string): FormatError {
  return new FormatError({
    code: 'missing_tensor',
    file,
    subject: name,
    message: `tensor ${name} is missing: ${reason}`,
  });
}

function misplaced(name: string, shard: string, expected: string | undefined): FormatError {
  const place = expected === undefined ? 'does not list it' : `places it in ${expected}`;
  const message = `unexpected tensor ${name}: ${INDEX} ${place}`;
  return new FormatError({ code: 'unexpected_tensor', file: shard, subject: name, message });
}

async function noWeights(folder: string): Promise<FormatError> {
  const pickle = (await resolveInFolder(folder, 'pytorch_model.bin')) !== null;
  const message = pickle
    ? 'file is missing; pytorch_model.bin is a pickle, which can run code and is never read: save it as safetensors'
    : `file is missing, and so is ${INDEX}: expected one of them`;
  return new FormatError({ code: pickle ? 'pickle_refused' : 'missing_file', file: SINGLE, message });
}
