import type { Tensor } from '../../models/base-model.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, type Evolution, type ModuleEvolution, type TensorDrift } from './evolution.ts';

/** An evolution as named tensors (`<module>.u`, `.s`, `.v`, `.rowSquares`) and string metadata, as safetensors files hold them. */
export interface SerializedEvolution {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const FORMAT = 'readapt-evolution/2';

/** [‖W_new − W_old‖, ‖W_old‖] */
type StoredNorms = readonly [number, number];

interface StoredModule {
  readonly out: number;
  readonly in: number;
  readonly rank: number;
  readonly norms: StoredNorms;
}

interface StoredHeader {
  readonly oldFingerprint: string;
  readonly newFingerprint: string;
  readonly rank: number;
  readonly overall: StoredNorms;
  readonly adaptable: StoredNorms;
  /** Pairs and not an object, so that the order survives whatever the names. */
  readonly modules: readonly (readonly [string, StoredModule])[];
  readonly unadaptable: readonly (readonly [string, StoredNorms])[];
}

/** Modules of rank 0 (unchanged) have row squares alone. The arrays are shared with the evolution, not copied. */
export function serializeEvolution(evolution: Evolution): SerializedEvolution {
  const tensors = new Map<string, Tensor>();
  for (const [name, module] of evolution.modules) {
    for (const [key, shape] of Object.entries(tensorShapes(module))) {
      tensors.set(`${name}.${key}`, { shape, data: module[key as StoredTensor] });
    }
  }
  const header: StoredHeader = {
    oldFingerprint: evolution.oldFingerprint,
    newFingerprint: evolution.newFingerprint,
    rank: evolution.rank,
    overall: normsOf(evolution.overall),
    adaptable: normsOf(evolution.adaptable),
    modules: [...evolution.modules].map(([name, module]) => [name, storedModule(module)]),
    unadaptable: [...evolution.unadaptable].map(([name, drift]) => [name, normsOf(drift)]),
  };
  return { tensors, metadata: { format: FORMAT, evolution: JSON.stringify(header) } };
}

/**
 * The inverse of {@link serializeEvolution}; the arrays are taken over. Strict: every expected tensor in its shape, none
 * beside them.
 * @throws AdaptationError `invalid_evolution`
 */
export function deserializeEvolution({ tensors, metadata }: SerializedEvolution): Evolution {
  const header = parseHeader(metadata);
  const modules = header.modules.map(([name, stored]) => [name, restoreModule(name, stored, tensors)] as const);
  refuseUnexpected(header, tensors);
  return {
    oldFingerprint: header.oldFingerprint,
    newFingerprint: header.newFingerprint,
    rank: header.rank,
    overall: driftFrom(header.overall),
    adaptable: driftFrom(header.adaptable),
    modules: new Map(modules),
    unadaptable: new Map(header.unadaptable.map(([name, norms]) => [name, driftFrom(norms)])),
  };
}

type StoredTensor = 'u' | 's' | 'v' | 'rowSquares';

function tensorShapes(module: {
  outFeatures: number;
  inFeatures: number;
  rank: number;
}): Partial<Record<StoredTensor, number[]>> {
  const { outFeatures, inFeatures, rank } = module;
  const factors = { u: [outFeatures, rank], s: [rank], v: [inFeatures, rank] };
  return { ...(rank > 0 && factors), rowSquares: [3, outFeatures] };
}

function storedModule(module: ModuleEvolution): StoredModule {
  return { out: module.outFeatures, in: module.inFeatures, rank: module.rank, norms: normsOf(module) };
}

function normsOf({ deltaNorm, weightNorm }: TensorDrift): StoredNorms {
  return [deltaNorm, weightNorm];
}

function driftFrom([deltaNorm, weightNorm]: StoredNorms): TensorDrift {
  return driftOf(deltaNorm ** 2, weightNorm ** 2);
}

function parseHeader(metadata: Readonly<Record<string, string>>): StoredHeader {
  if (metadata['format'] !== FORMAT) {
    throw invalid(`format is ${JSON.stringify(metadata['format'])}, expected "${FORMAT}"`);
  }
  try {
    const header = JSON.parse(metadata['evolution'] ?? '') as StoredHeader;
    if (Array.isArray(header.modules) && Array.isArray(header.unadaptable)) return header;
  } catch (cause) {
    throw invalid('metadata field "evolution" is not valid JSON', cause);
  }
  throw invalid('metadata field "evolution" lists no modules');
}

function restoreModule(name: string, stored: StoredModule, tensors: ReadonlyMap<string, Tensor>): ModuleEvolution {
  const shape = { outFeatures: stored.out, inFeatures: stored.in, rank: stored.rank };
  const none = new Float32Array(0);
  const arrays: Record<StoredTensor, Float32Array> = { u: none, s: none, v: none, rowSquares: none };
  for (const [key, expected] of Object.entries(tensorShapes(shape))) {
    const tensor = tensors.get(`${name}.${key}`);
    if (!tensor) throw invalid(`tensor ${name}.${key} is missing`);
    if (tensor.shape.join() !== expected.join()) {
      throw invalid(`tensor ${name}.${key} has shape [${tensor.shape.join(', ')}], expected [${expected.join(', ')}]`);
    }
    arrays[key as StoredTensor] = tensor.data;
  }
  return { ...shape, ...arrays, ...driftFrom(stored.norms) };
}

function refuseUnexpected(header: StoredHeader, tensors: ReadonlyMap<string, Tensor>): void {
  const expected = new Set(
    header.modules.flatMap(([name, { out, in: inFeatures, rank }]) => {
      return Object.keys(tensorShapes({ outFeatures: out, inFeatures, rank })).map((key) => `${name}.${key}`);
    }),
  );
  const unexpected = [...tensors.keys()].find((name) => !expected.has(name));
  if (unexpected !== undefined) throw invalid(`tensor ${unexpected} belongs to no module of the evolution`);
}

function invalid(message: string, cause?: unknown): AdaptationError {
  return new AdaptationError('invalid_evolution', `evolution: ${message}`, cause);
}
