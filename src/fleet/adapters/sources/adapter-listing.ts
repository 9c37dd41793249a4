import { requireUsable, type ListingRules } from '../../../platform/base-sources/index.ts';
import { isAdapterFile, PICKLED_WEIGHTS } from '../adapter-files.ts';

/**
 * Rules for listing an adapter's files in a hub or a bucket. The list includes pickled weights, to refuse them by name;
 * nothing fetches them.
 */
export const ADAPTER_LISTING: ListingRules = {
  // Trainings leave checkpoint folders beside an adapter, sometimes hundreds.
  maxEntries: 1000,
  check(source, files) {
    const taken = files.filter(({ name }) => isAdapterFile(name) || name === PICKLED_WEIGHTS);
    requireUsable(source, taken);
    return taken.sort((a, b) => (a.name < b.name ? -1 : 1));
  },
};
