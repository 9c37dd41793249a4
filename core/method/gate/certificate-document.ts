import type { Certificate, SliceVerdict } from './gate-types.ts';

/** Verdict on a critical slice, with the names of fields that the API and JSON output use. */
export type SliceDocument = Omit<SliceVerdict, 'rowsNeeded'> & { readonly rows_needed: number | null };

/** Certificate, with the names of fields that the API and JSON output use. */
export type CertificateDocument = Omit<Certificate, 'rowsNeeded' | 'availableRows' | 'slices'> & {
  readonly available_rows: number;
  readonly rows_needed: number | null;
  readonly slices?: readonly SliceDocument[];
};

export function certificateDocument(certificate: Certificate | null): CertificateDocument | null {
  if (certificate === null) return null;
  const { slices, availableRows, ...whole } = certificate;
  return { ...snakeCased(whole), available_rows: availableRows, ...(slices && { slices: slices.map(snakeCased) }) };
}

function snakeCased<T extends { readonly rowsNeeded: number | null }>({ rowsNeeded, ...shown }: T) {
  return { ...shown, rows_needed: rowsNeeded };
}
