import type { Certificate, SliceVerdict } from './gate-types.ts';

/** Verdict on a critical slice, as answers of the API and JSON documents have it. */
export type SliceDocument = Omit<SliceVerdict, 'rowsNeeded'> & { readonly rows_needed: number | null };

/** Certificate, as answers of the API and JSON documents have it. */
export type CertificateDocument = Omit<Certificate, 'rowsNeeded' | 'slices'> & {
  readonly rows_needed: number | null;
  readonly slices?: readonly SliceDocument[];
};

export function certificateDocument(certificate: Certificate | null): CertificateDocument | null {
  if (certificate === null) return null;
  const { slices, ...whole } = certificate;
  return { ...snakeCased(whole), ...(slices && { slices: slices.map(snakeCased) }) };
}

function snakeCased<T extends { readonly rowsNeeded: number | null }>({ rowsNeeded, ...shown }: T) {
  return { ...shown, rows_needed: rowsNeeded };
}
