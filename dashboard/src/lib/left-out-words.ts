/** Why a rollout does not take adapters, as what comes after their number. A reason of a later version is told by its own word. */
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

export const leftOutWords = (reason: string): string => WORDS[reason] ?? reason.replaceAll('_', ' ');
