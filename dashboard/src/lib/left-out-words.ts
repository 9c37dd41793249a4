/** Reasons why a rollout leaves adapters out, worded to follow a number: `3 are not selected`. */
const WORDS: Readonly<Record<string, string>> = {
  incompatible: 'cannot be carried over: the versions are incompatible',
  dataset_missing: 'have no dataset to be judged by',
  not_servable: 'would be refused by the engines of the serving profile',
  quota_exceeded: 'are beyond a quota of their tenant',
  no_version: 'have no version to carry over',
  carried_over: 'have a version for it already',
  not_selected: 'are not selected',
  pinned: 'are pinned by their tenant to another version',
};

/** Words for a reason. A reason that this version does not know is shown under its name in the API. */
export const leftOutWords = (reason: string): string => WORDS[reason] ?? reason.replaceAll('_', ' ');
