export const ADAPTER_SORTS = ['name', '-name', 'created', '-created'] as const;

/** Which adapters are listed, and in which order. */
export interface AdaptersSearch {
  readonly name?: string;
  readonly label?: string;
  readonly on?: string;
  readonly notOn?: string;
  readonly atRiskOn?: string;
  readonly sort?: (typeof ADAPTER_SORTS)[number];
}
