import type { Tensor } from '../../models/base-model.ts';
import { withSafetensors } from '../../formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../formats/safetensors/safetensors-writer.ts';
import { deserializeEvolution, serializeEvolution } from './evolution-tensors.ts';
import type { Evolution } from './evolution.ts';

/** Writes an evolution as one safetensors file, atomically; equal evolutions give equal bytes. */
export async function saveEvolution(path: string, evolution: Evolution): Promise<void> {
  const { tensors, metadata } = serializeEvolution(evolution);
  await writeSafetensors(path, tensors, { metadata });
}

/**
 * Reads what {@link saveEvolution} wrote.
 * @throws FormatError for a file that is missing or broken, AdaptationError `invalid_evolution` for another content
 */
export async function loadEvolution(path: string): Promise<Evolution> {
  return withSafetensors(path, async (file) => {
    const tensors = new Map<string, Tensor>();
    for (const name of file.names) tensors.set(name, await file.read(name));
    return deserializeEvolution({ tensors, metadata: file.header.metadata });
  });
}
