import { crc32 } from 'node:zlib';
import type { Tensor } from '../../models/base-model.ts';
import { withSafetensors } from '../../formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../formats/safetensors/safetensors-writer.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, type TensorDrift } from './drift.ts';
import type { Evolution, ModuleEvolution } from './evolution.ts';

const FORMAT = 'readapt-evolution/2';

/** Frobenius norms of a tensor's change and of its old values, [‖W_new − W_old‖, ‖W_old‖]. */
type StoredNorms = readonly [number, number];

interface StoredModule {
  readonly out: number;
  readonly in: number;
  readonly rank: number;
  readonly norms: StoredNorms;
}

/** Description of an evolution that its file holds as JSON beside the tensors. */
interface StoredHeader {
  readonly oldFingerprint: string;
  readonly newFingerprint: string;
  readonly rank: number;
  readonly overall: StoredNorms;
  readonly adaptable: StoredNorms;
  /**
   * Modules and unadaptable tensors as lists of pairs, because a JSON object would reorder names that look like
   * numbers.
   */
  readonly modules: readonly (readonly [string, StoredModule])[];
  readonly unadaptable: readonly (readonly [string, StoredNorms])[];
}

/**
 * Writes an evolution as one safetensors file, atomically; equal evolutions give equal bytes. Each module has the
 * tensors `<module>.u`, `.s`, `.v` and `.rowSquares`; an unchanged module (rank 0) has only the last one.
 */
export async function saveEvolution(path: string, evolution: Evolution): Promise<void> {
  const tensors = new Map<string, Tensor>();
  for (const [name, module] of evolution.modules) {
    for (const { key, shape } of storedTensors(module)) tensors.set(`${name}.${key}`, { shape, data: module[key] });
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
  const metadata = { format: FORMAT, evolution: JSON.stringify(header), checksum: checksumOf(tensors) };
  await writeSafetensors(path, tensors, { metadata });
}

/**
 * Reads an evolution that {@link saveEvolution} wrote.
 * @throws FormatError for a missing or broken file; AdaptationError `invalid_evolution` if it is not an evolution, if
 * tensors are missing, superfluous or of another shape, or if their checksum is not the one in the file
 */
export async function loadEvolution(path: string): Promise<Evolution> {
  return withSafetensors(path, async (file) => {
    const header = parseHeader(file.header.metadata);
    const tensors = new Map<string, Tensor>();
    for (const name of file.names) tensors.set(name, await file.read(name));
    const found = checksumOf(tensors);
    const modules = header.modules.map(([name, stored]) => [name, takeModule(name, stored, tensors)] as const);
    const [unexpected] = tensors.keys();
    if (unexpected !== undefined) throw invalid(`tensor ${unexpected} belongs to no module of the evolution`);
    // Files of earlier releases have no checksum.
    const { checksum = found } = file.header.metadata;
    if (checksum !== found) throw invalid(`the tensors have the checksum ${found}, expected ${checksum}`);
    return {
      oldFingerprint: header.oldFingerprint,
      newFingerprint: header.newFingerprint,
      rank: header.rank,
      overall: driftFrom(header.overall),
      adaptable: driftFrom(header.adaptable),
      modules: new Map(modules),
      unadaptable: new Map(header.unadaptable.map(([name, norms]) => [name, driftFrom(norms)])),
    };
  });
}

/** CRC-32 of the names and values of all tensors, in the order of the names. */
function checksumOf(tensors: ReadonlyMap<string, Tensor>): string {
  const names = [...tensors.keys()].sort();
  const checksum = names.reduce((sum, name) => {
    const { buffer, byteOffset, byteLength } = tensors.get(name)!.data;
    return crc32(new Uint8Array(buffer, byteOffset, byteLength), crc32(name, sum));
  }, 0);
  return checksum.toString(16);
}

type ModuleShape = Pick<ModuleEvolution, 'outFeatures' | 'inFeatures' | 'rank'>;

function storedTensors({ outFeatures, inFeatures, rank }: ModuleShape) {
  const rows = { key: 'rowSquares', shape: [3, outFeatures] } as const;
  if (rank === 0) return [rows];
  const factors = [
    { key: 'u', shape: [outFeatures, rank] },
    { key: 's', shape: [rank] },
    { key: 'v', shape: [inFeatures, rank] },
  ] as const;
  return [...factors, rows];
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
  throw invalid('metadata field "evolution" has no list of modules and of unadaptable tensors');
}

/** Builds the evolution of a module from its tensors, and removes these from `tensors`. Arrays are not copied. */
function takeModule(name: string, stored: StoredModule, tensors: Map<string, Tensor>): ModuleEvolution {
  const shape = { outFeatures: stored.out, inFeatures: stored.in, rank: stored.rank };
  const none = new Float32Array(0);
  const arrays: Record<'u' | 's' | 'v' | 'rowSquares', Float32Array> = { u: none, s: none, v: none, rowSquares: none };
  for (const { key, shape: expected } of storedTensors(shape)) {
    const tensor = tensors.get(`${name}.${key}`);
    if (!tensor) throw invalid(`tensor ${name}.${key} is missing`);
    if (tensor.shape.join() !== expected.join()) {
      throw invalid(`tensor ${name}.${key} has shape [${tensor.shape.join(', ')}], expected [${expected.join(', ')}]`);
    }
    arrays[key] = tensor.data;
    tensors.delete(`${name}.${key}`);
  }
  return { ...shape, ...arrays, ...driftFrom(stored.norms) };
}

function invalid(message: string, cause?: unknown): AdaptationError {
  return new AdaptationError('invalid_evolution', `evolution: ${message}`, cause);
}
