/**
 * Sentences for the dashboard that say what a change of the base means for its adapters, by the API's word for the
 * advice.
 */
export const ADVICE: Readonly<Record<string, string>> = {
  reuse: 'Most adapters should work as they are',
  revert: 'Undoing the change of the base should do for most adapters',
  search: 'Most adapters should need a search for what to keep of the change',
  retrain: 'Most adapters should need to be trained again',
  incompatible: 'No adapter can be carried over',
};
