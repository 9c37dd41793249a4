import { FormatError } from '../../core/formats/errors.ts';
import { SafetensorsFile } from '../../core/formats/safetensors/safetensors.ts';

/**
 * Reason for which a file cannot be the weights that its name claims; null if it can, or if it is not named as weights.
 */
export async function headerProblem(place: string, name: string): Promise<string | null> {
  if (!name.endsWith('.safetensors')) return null;
  try {
    await (await SafetensorsFile.open(place, name)).close();
    return null;
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}
