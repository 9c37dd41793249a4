import { readFile } from 'node:fs/promises';
import type { FixedStepsRecord } from './measure.ts';

/** Reads a file with one record a line. */
export async function readRecords(file: string): Promise<FixedStepsRecord[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as FixedStepsRecord);
}
