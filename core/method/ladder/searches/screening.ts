import { compareKnown, type Known } from '../../search/coefficient-search.ts';
import type { Ladder } from '../ladder.ts';
import { searchTask } from './ladder-search.ts';

/**
 * Compares copy and revert on a few search rows, so that the gate, which has many rows, does not judge the one that is clearly
 * worse. Each run has one screening.
 */
export class Screening {
  #better: Promise<Known | null> | null = null;

  /**
   * Returns the one that is clearly better; null if neither is, or if nothing can be reverted. It measures at the first call; a
   * resumed run finds the measurements in its records.
   */
  betterOf(ladder: Ladder): Promise<Known | null> {
    return (this.#better ??= ladder.fused.obstacle === null ? compareKnown(searchTask(ladder)) : Promise.resolve(null));
  }
}
