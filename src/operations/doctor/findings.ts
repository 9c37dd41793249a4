/** What the doctor looks for, in the order of its report. */
export const FINDINGS = {
  store_not_owned: 'the artifact store does not belong to this database',
  artifact_corrupt: 'artifacts whose content is not what their digest says',
  artifact_unregistered: 'artifacts that rows name and that the collector would take for nobody’s',
  artifact_unnamed: 'artifacts that no row names',
  current_version_gone: 'versions that should be served and whose files are gone or corrupt',
  version_gone: 'versions of adapters whose files are gone or corrupt',
  dataset_gone: 'datasets whose rows are gone or corrupt',
  evolution_gone: 'evolutions between base versions whose files are gone or corrupt',
  base_part_gone: 'parts of uploads of base models that are gone or corrupt',
  base_unreadable: 'base model versions that this machine cannot read',
  lease_stale: 'jobs whose worker has been silent for long and that nobody takes over',
  outbox_stale: 'jobs that nobody puts into the queue',
} as const;

export type FindingKind = keyof typeof FINDINGS;

export interface Finding {
  readonly kind: FindingKind;
  /** Identifier or digest of what is wrong. */
  readonly subject: string;
  /** What is wrong, in a sentence. */
  readonly message: string;
  /** What `--mend` does about it, or `--adopt` about the store; null if they cannot do anything. */
  readonly mend: string | null;
  /** What the operator can do where it cannot. */
  readonly advice?: string;
  /** Whether it was done. */
  readonly mended: boolean;
}

/** Something that was found, with the way to mend it if there is one. */
export interface Diagnosis extends Omit<Finding, 'mend' | 'mended'> {
  readonly remedy: { readonly text: string; readonly apply: () => Promise<void> } | null;
}
