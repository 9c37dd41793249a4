import { quote, shorten } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';
import { readJsonInFolder, resolveInFolder, type JsonFileLimits } from '../folder-files.ts';
import { isObject } from '../json.ts';

export const ADAPTER_OUTCOMES = 'readapt-outcomes.json';

const FORMAT = 'readapt.outcomes.v1';

/** Limits of `readapt-outcomes.json`, with room for the values of a million rows. */
const LIMITS: JsonFileLimits = { bytes: 64 << 20, depth: 4, keys: 1 << 20, keyLength: 200 };

/** Measured values of an adapter's rows, stored beside it as `readapt-outcomes.json`. */
export interface AdapterOutcomes {
  /** Fingerprint of the base model that the adapter was measured on. */
  readonly baseFingerprint: string;
  /** SHA-256 of the adapter's scalings, shapes and factors. */
  readonly adapterSha256: string;
  /** Measured values. Each key stands for a row, the metric and everything else that the value depends on. */
  readonly rows: ReadonlyMap<string, number>;
}

/** Encodes an adapter's outcomes as JSON. */
export function encodeOutcomes({ baseFingerprint, adapterSha256, rows }: AdapterOutcomes): string {
  const json = {
    format: FORMAT,
    base_fingerprint: baseFingerprint,
    adapter_sha256: adapterSha256,
    rows: Object.fromEntries(rows),
  };
  return `${JSON.stringify(json, null, 1)}\n`;
}

/**
 * Reads `readapt-outcomes.json`. Returns null for a folder without one.
 * @throws FormatError `invalid_outcomes`, or `invalid_json` for a file that is no JSON or too large
 */
export async function readAdapterOutcomes(folder: string): Promise<AdapterOutcomes | null> {
  if ((await resolveInFolder(folder, ADAPTER_OUTCOMES)) === null) return null;
  const json = await readJsonInFolder(folder, ADAPTER_OUTCOMES, LIMITS);
  if (!isObject(json)) throw invalid('', 'is not a JSON object');
  const { format, base_fingerprint: baseFingerprint, adapter_sha256: adapterSha256, rows } = json;
  if (format !== FORMAT) throw invalid('format', `is ${quote(format)}, expected ${FORMAT}`);
  if (typeof baseFingerprint !== 'string') throw invalid('base_fingerprint', 'is missing, expected a SHA-256');
  if (typeof adapterSha256 !== 'string') throw invalid('adapter_sha256', 'is missing, expected a SHA-256');
  if (!isObject(rows)) throw invalid('rows', 'is missing, expected a number for each row');
  for (const [key, value] of Object.entries(rows)) {
    if (!Number.isFinite(value)) throw invalid('rows', `has ${quote(value)} for ${shorten(key)}, expected a number`);
  }
  return { baseFingerprint, adapterSha256, rows: new Map(Object.entries(rows as Record<string, number>)) };
}

function invalid(field: string, message: string): FormatError {
  return new FormatError({
    code: 'invalid_outcomes',
    file: ADAPTER_OUTCOMES,
    subject: field,
    message: `${field} ${message}. Without this file, the adapter is measured`.trim(),
  });
}
