import type { AtRisk, BaseModelVersion } from '../../remote/client.ts';
import { paintState, type Paint } from '../../screen/paint.ts';
import { printable, relativeTime } from '../../screen/text.ts';

/** Labelled lines that describe a base model version. */
export function baseVersionRows(
  version: BaseModelVersion,
  atRisk: AtRisk,
  paint: Paint,
): (readonly [string, string])[] {
  const { id, base_model_name: model, state, path, serving_name: serving, architecture, parameters, error } = version;
  return [
    ['version', `${model}@${version.version} (${id})`],
    ['state', paintState(paint, state)],
    ...(error === null ? [] : [['error', printable(error.detail ?? error.message)] as const]),
    ['architecture', architecture ?? 'not known yet'],
    ['parameters', parameters?.toLocaleString('en-US') ?? 'not known yet'],
    ...(path === null ? [] : [['folder', printable(path)] as const]),
    ...sourceRows(version),
    ...(serving === null ? [] : [['served as', printable(serving)] as const]),
    [
      'retires',
      version.retires_at === null ? 'not planned' : `${version.retires_at}, ${relativeTime(version.retires_at)}`,
    ],
    ['at risk', atRiskText(atRisk)],
  ];
}

function sourceRows({ source }: BaseModelVersion): (readonly [string, string])[] {
  if (source === null || source.kind === 'folder') return [];
  const place = placeOf(source);
  const bytes = source.files.reduce((sum, { size }) => sum + size, 0);
  return [['source', `${printable(place)} (${source.files.length} files, ${(bytes / 2 ** 30).toFixed(2)} GiB)`]];
}

function placeOf(source: Exclude<NonNullable<BaseModelVersion['source']>, { kind: 'folder' }>): string {
  if (source.kind === 'hub') return `hf://${source.repo}@${source.revision}, commit ${source.commit}`;
  if (source.kind === 'upload') return `upload://${source.id}`;
  return `s3://${[source.bucket, source.prefix].filter((part) => part !== '').join('/')}`;
}

function atRiskText({ adapters, tenant_count: tenants }: AtRisk): string {
  return adapters === 0 ? 'no adapter' : `${adapters} adapters of ${tenants} tenants, which would be without a version`;
}
