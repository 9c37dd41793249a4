import { parseS3Url } from '../../../platform/artifacts/s3/s3-client.ts';
import type { ExternalSource } from '../../../platform/base-sources/index.ts';
import { TENANT_ID_SEGMENT, TENANT_NAME_SEGMENT } from '../../../platform/config/settings/adapter-places.ts';

export interface TenantIdentity {
  readonly id: string;
  readonly name: string;
}

/**
 * Whether READAPT_ADAPTER_SOURCES allows a tenant to read a source. The names between slashes are compared as a whole,
 * so a permission for the folder `acme` does not include `acme-2`. Requests with empty names or `..` have been refused
 * before this check.
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
 * Whether a source lies in the service's own artifact store, which holds artifacts of all tenants.
 * @param artifacts address of the artifact store as `s3://bucket/prefix`; null if the store is a folder
 */
export function isOfArtifacts(source: ExternalSource, artifacts: string | null): boolean {
  if (source.kind !== 's3' || artifacts === null) return false;
  const { bucket, prefix } = parseS3Url(artifacts);
  return source.bucket === bucket && `${source.prefix}/`.startsWith(prefix);
}
