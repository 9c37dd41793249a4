import type { Batch } from '../../workers/engine/runtime.ts';
import type { SideRow } from './side-protocol.ts';

/**
 * A batch as rows without padding. A row's real tokens end at its last label: the last token of a sequence is predicted
 * and never read.
 */
export function describeBatch(batch: Batch): SideRow[] {
  const labels = Array.from({ length: batch.rows }, (): [number, number][] => []);
  batch.labelPositions.forEach((flat, i) => {
    if (batch.labelWeights[i] !== 0) labels[Math.floor(flat / batch.length)]!.push([flat % batch.length, batch.labelTargets[i]!]);
  });
  return labels.map((pairs, row) => {
    const end = pairs.length > 0 ? pairs.at(-1)![0] + 1 : 0;
    return { tokens: Array.from(batch.inputIds.subarray(row * batch.length, row * batch.length + end)), labels: pairs };
  });
}
