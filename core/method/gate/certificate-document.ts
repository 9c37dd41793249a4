import type { Certificate } from './gate-types.ts';

/** A certificate as answers and documents show it. */
export interface CertificateDocument extends Omit<Certificate, 'rowsNeeded'> {
  readonly rows_needed: number | null;
}

export function certificateDocument(certificate: Certificate | null): CertificateDocument | null {
  if (certificate === null) return null;
  const { rowsNeeded, ...shown } = certificate;
  return { ...shown, rows_needed: rowsNeeded };
}
