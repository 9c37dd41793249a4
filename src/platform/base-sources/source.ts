import { idPattern } from '../contract/ids.ts';

/** A model of a Hugging Face hub. */
export interface HubSource {
  readonly kind: 'hub';
  /** `org/name`. */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** A folder of a bucket. */
export interface S3Source {
  readonly kind: 's3';
  readonly bucket: string;
  /** Key prefix, without a slash at either end; empty for the whole bucket. */
  readonly prefix: string;
}

/** Files that were sent to the service, which do not change any more when it is complete. */
export interface UploadSource {
  readonly kind: 'upload';
  readonly id: string;
}

/** A place outside of the service. */
export type ExternalSource = HubSource | S3Source;

/** A place outside of the workers' machines that files of a base model version are fetched from. */
export type RemoteSource = ExternalSource | UploadSource;

/** A source in one state, which later changes do not reach. */
export type PinnedSource = PinnedHub | S3Source | UploadSource;

export type PinnedHub = HubSource & {
  readonly commit: string;
  /** Whether a token was given with it. */
  readonly hasToken: boolean;
};

/** A file of a source, as it was when the version was registered. */
export interface SourceFile {
  /** A plain name: base models have no folders in them. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the content, hexadecimal; null where the source does not give it. */
  readonly sha256: string | null;
  /** The hash by which Git names the content, hexadecimal; null where the source is no repository. */
  readonly gitSha1: string | null;
  /** ETag of the file at its source; null where the commit pins it. */
  readonly etag: string | null;
  /** The version of the object, where the bucket keeps versions. */
  readonly versionId: string | null;
}

/** A file of which nothing but its content is known. */
export function fileOfContent({ name, size, sha256 }: Pick<SourceFile, 'name' | 'size' | 'sha256'>): SourceFile {
  return { name, size, sha256, gitSha1: null, etag: null, versionId: null };
}

/** Fields of a source that are stored when a version is registered. */
export interface PinnedFiles {
  readonly source: PinnedSource;
  readonly files: readonly SourceFile[];
}

export const DEFAULT_REVISION = 'main';

/** Names of models of a hub, with their organization. A name does not begin with a dot, so no path leads out of it. */
export const HUB_REPO_PATTERN = '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}$';
/** Pattern of branch and tag names that Git allows, as far as hubs use them. */
export const HUB_REVISION_PATTERN = '^(?!.*(\\.\\.|//))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$';
export const BUCKET_PATTERN = '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$';
/** The most characters of a prefix; keys have at most 1,024 bytes. */
export const PREFIX_LENGTH = 1024;
export const PREFIX_PATTERN = "^(?!(.*/)?\\.{1,2}(/|$))([A-Za-z0-9!_.*'()=+@ -]+(/[A-Za-z0-9!_.*'()=+@ -]+)*)?$";

const isRepo = new RegExp(HUB_REPO_PATTERN);
const isRevision = new RegExp(HUB_REVISION_PATTERN);
const isBucket = new RegExp(BUCKET_PATTERN);
const isPrefix = new RegExp(PREFIX_PATTERN);
const isUpload = new RegExp(idPattern('baseModelUpload'));

/** Reads `hf://org/name@revision`, `s3://bucket/prefix` or `upload://bmu_…`; null for any other text. */
export function parseRemoteSource(text: string): RemoteSource | null {
  if (text.startsWith('upload://')) {
    const id = text.slice('upload://'.length);
    return isUpload.test(id) ? { kind: 'upload', id } : null;
  }
  if (text.startsWith('hf://')) {
    const [repo = '', revision = DEFAULT_REVISION, ...more] = text.slice(5).split('@');
    if (more.length > 0 || !isRepo.test(repo) || !isRevision.test(revision)) return null;
    return { kind: 'hub', repo, revision };
  }
  if (!text.startsWith('s3://')) return null;
  const [bucket = '', ...rest] = text.slice(5).replace(/\/+$/, '').split('/');
  const prefix = rest.join('/');
  const isUsable = isBucket.test(bucket) && prefix.length <= PREFIX_LENGTH && isPrefix.test(prefix);
  return isUsable ? { kind: 's3', bucket, prefix } : null;
}

/** A source as a text, with the commit that is pinned if one is. */
export function sourceText(source: RemoteSource | PinnedSource): string {
  if (source.kind === 'upload') return `upload://${source.id}`;
  if (source.kind === 'hub') return `hf://${source.repo}@${'commit' in source ? source.commit : source.revision}`;
  return `s3://${source.bucket}${source.prefix === '' ? '' : `/${source.prefix}`}`;
}

/** The name by which serving engines load what a source has, as far as they can. */
export function sourceName(source: RemoteSource): string {
  return source.kind === 'hub' ? source.repo : sourceText(source);
}
