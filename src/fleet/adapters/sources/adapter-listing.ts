import { requireUsable, type ListingRules } from '../../../platform/base-sources/index.ts';
import { isAdapterFile, PICKLED_WEIGHTS } from '../adapter-files.ts';

/**
 * The files of an adapter in a hub or a bucket. Pickled weights are listed, so that they can be refused by name;
 * nothing fetches them.
 */
export const ADAPTER_LISTING: ListingRules = {
  // A training leaves its checkpoints beside an adapter: folders, of which it may have hundreds.
  maxEntries: 1000,
  check(source, files) {
    const taken = files.filter(({ name }) => isAdapterFile(name) || name === PICKLED_WEIGHTS);
    requireUsable(source, taken);
    return taken.sort((a, b) => (a.name < b.name ? -1 : 1));
  },
};
