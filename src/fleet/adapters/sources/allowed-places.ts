import { parseS3Url } from '../../../platform/artifacts/s3/s3-client.ts';
import type { ExternalSource } from '../../../platform/base-sources/index.ts';
import { TENANT_ID_SEGMENT, TENANT_NAME_SEGMENT } from '../../../platform/config/settings/adapter-places.ts';

export interface TenantIdentity {
  readonly id: string;
  readonly name: string;
}

/**
 * Whether READAPT_ADAPTER_SOURCES allows a tenant to read a source. Whole segments are compared, so the folder of
 * `acme` does not include `acme-2`. A source has no empty segments and no `..`.
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
 * Whether a source lies in the service's own artifact store, which has artifacts of all tenants.
 * @param artifacts `s3://bucket/prefix`, or null
 */
export function isOfArtifacts(source: ExternalSource, artifacts: string | null): boolean {
  if (source.kind !== 's3' || artifacts === null) return false;
  const { bucket, prefix } = parseS3Url(artifacts);
  return source.bucket === bucket && `${source.prefix}/`.startsWith(prefix);
}
