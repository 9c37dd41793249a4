import type { Tensor } from '../models/base-model.ts';
import { AdaptationError } from './errors.ts';
import { driftOf, type Evolution, type ModuleEvolution, type TensorDrift } from './evolution.ts';

/** An evolution as named tensors (`<module>.u`, `.s`, `.v`) and string metadata, as safetensors files hold them. */
export interface SerialisedEvolution {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const FORMAT = 'readapt-evolution/1';

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

/** Modules of rank 0 (unchanged) have no tensors. The arrays are shared with the evolution, not copied. */
export function serialiseEvolution(evolution: Evolution): SerialisedEvolution {
  const tensors = new Map<string, Tensor>();
  for (const [name, module] of evolution.modules) {
    if (module.rank === 0) continue;
    for (const [key, shape] of Object.entries(factorShapes(module))) {
      tensors.set(`${name}.${key}`, { shape, data: module[key as Factor] });
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
 * The inverse of {@link serialiseEvolution}; the arrays are taken over. Strict: every expected tensor in its shape, none
 * beside them.
 * @throws AdaptationError `invalid_evolution`
 */
export function deserialiseEvolution({ tensors, metadata }: SerialisedEvolution): Evolution {
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

type Factor = 'u' | 's' | 'v';

function factorShapes(module: { outFeatures: number; inFeatures: number; rank: number }): Record<Factor, number[]> {
  return { u: [module.outFeatures, module.rank], s: [module.rank], v: [module.inFeatures, module.rank] };
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
  const factors = { u: new Float32Array(0), s: new Float32Array(0), v: new Float32Array(0) };
  if (stored.rank > 0) {
    for (const [key, expected] of Object.entries(factorShapes(shape))) {
      const tensor = tensors.get(`${name}.${key}`);
      if (!tensor) throw invalid(`tensor ${name}.${key} is missing`);
      if (tensor.shape.join() !== expected.join()) {
        throw invalid(`tensor ${name}.${key} has shape [${tensor.shape.join(', ')}], expected [${expected.join(', ')}]`);
      }
      factors[key as Factor] = tensor.data as Float32Array<ArrayBuffer>;
    }
  }
  return { ...shape, ...factors, ...driftFrom(stored.norms) };
}

function refuseUnexpected(header: StoredHeader, tensors: ReadonlyMap<string, Tensor>): void {
  const changed = header.modules.filter(([, { rank }]) => rank > 0);
  const expected = new Set(changed.flatMap(([name]) => ['u', 's', 'v'].map((key) => `${name}.${key}`)));
  const unexpected = [...tensors.keys()].find((name) => !expected.has(name));
  if (unexpected !== undefined) throw invalid(`tensor ${unexpected} belongs to no module of the evolution`);
}

function invalid(message: string, cause?: unknown): AdaptationError {
  return new AdaptationError('invalid_evolution', `evolution: ${message}`, cause);
}
