/** Kinds of problems that `readapt doctor` finds, in the order of its report. */
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
  /** Identifier of the resource, or digest of the artifact, that has the problem. */
  readonly subject: string;
  /** Description of the problem in a sentence. */
  readonly message: string;
  /**
   * Description of the repair that `--mend` makes or, if the store has the wrong owner, `--adopt`; null if there is no
   * such repair.
   */
  readonly mend: string | null;
  /** Advice to the operator for a problem that `--mend` cannot repair. */
  readonly advice?: string;
  /** Whether this run has repaired the problem. */
  readonly mended: boolean;
}

/** Problem that was found, with the function that repairs it if there is one. */
export interface Diagnosis extends Omit<Finding, 'mend' | 'mended'> {
  readonly remedy: { readonly text: string; readonly apply: () => Promise<void> } | null;
}
