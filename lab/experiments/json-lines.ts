import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';

/** Reads a file with one JSON document a line. It is decompressed if its name ends with `.gz`. */
export async function readJsonLines<T>(file: string): Promise<T[]> {
  const bytes = await readFile(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as T);
}
