import { parseS3Url } from '../../../platform/artifacts/s3/s3-client.ts';
import type { ExternalSource } from '../../../platform/base-sources/index.ts';
import { TENANT_ID_SEGMENT, TENANT_NAME_SEGMENT } from '../../../platform/config/settings/adapter-places.ts';

export interface TenantIdentity {
  readonly id: string;
  readonly name: string;
}

/**
 * Whether one of the places that READAPT_ADAPTER_SOURCES names holds a source, for a tenant. Whole segments are
 * compared, so the folder of `acme` holds nothing of `acme-2`; a source has no segment that is empty or leads up.
 */
export function isAllowedPlace(source: ExternalSource, places: readonly string[], tenant: TenantIdentity): boolean {
  const wanted = segmentsOf(source);
  return places.some((place) => {
    const allowed = place
      .split('/')
      .filter((segment, at) => at < 2 || segment !== '')
      .map((segment) => ({ [TENANT_NAME_SEGMENT]: tenant.name, [TENANT_ID_SEGMENT]: tenant.id })[segment] ?? segment);
    return allowed.every((segment, at) => segment === wanted[at]);
  });
}

function segmentsOf(source: ExternalSource): string[] {
  if (source.kind === 'hub') return ['hf:', '', ...source.repo.split('/')];
  return ['s3:', '', source.bucket, ...source.prefix.split('/')];
}

/**
 * Whether a source holds artifacts of the service, which are those of all tenants.
 * @param artifacts `s3://bucket/prefix`, or null
 */
export function isOfArtifacts(source: ExternalSource, artifacts: string | null): boolean {
  if (source.kind !== 's3' || artifacts === null) return false;
  const { bucket, prefix } = parseS3Url(artifacts);
  return source.bucket === bucket && `${source.prefix}/`.startsWith(prefix);
}
