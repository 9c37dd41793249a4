import { idPattern } from '../contract/ids.ts';

/** Model on a Hugging Face hub. */
export interface HubSource {
  readonly kind: 'hub';
  /** Repository as `org/name`. */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** Folder in an S3 bucket. */
export interface S3Source {
  readonly kind: 's3';
  readonly bucket: string;
  /** Key prefix, without a slash at either end; empty for the whole bucket. */
  readonly prefix: string;
}

/** Files that were uploaded to the service. They no longer change once the upload is complete. */
export interface UploadSource {
  readonly kind: 'upload';
  readonly id: string;
}

/** Source outside the service: a hub or a bucket. */
export type ExternalSource = HubSource | S3Source;

/**
 * Source outside the workers' machines: a hub, a bucket or an upload. Workers fetch the files of base model versions
 * from it.
 */
export type RemoteSource = ExternalSource | UploadSource;

/** Source whose state is fixed, so that later changes at the hub or in the bucket do not affect it. */
export type PinnedSource = PinnedHub | S3Source | UploadSource;

export type PinnedHub = HubSource & {
  readonly commit: string;
  /** Whether the request that named the source also gave a token for it. */
  readonly hasToken: boolean;
};

/** File of a source, in the state that it had when the base model version was registered. */
export interface SourceFile {
  /** Name of the file, without a folder: base models have no subfolders. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the content, hexadecimal; null if the source does not provide it. */
  readonly sha256: string | null;
  /** Git's hash of the content, hexadecimal; null if the source is not a Git repository. */
  readonly gitSha1: string | null;
  /** ETag of the file at its source; null if a commit pins the file. */
  readonly etag: string | null;
  /** Version of the object in the bucket; null if the bucket keeps no versions. */
  readonly versionId: string | null;
}

/** Describes a file of which only name, size and SHA-256 are known. */
export function fileOfContent({ name, size, sha256 }: Pick<SourceFile, 'name' | 'size' | 'sha256'>): SourceFile {
  return { name, size, sha256, gitSha1: null, etag: null, versionId: null };
}

/** Source of a base model version and its files, as stored when the version was registered. */
export interface PinnedFiles {
  readonly source: PinnedSource;
  readonly files: readonly SourceFile[];
}

export const DEFAULT_REVISION = 'main';

/**
 * Pattern of a model's name on a hub, with its organization. No part begins with a dot, so the name cannot lead out of
 * a folder.
 */
export const HUB_REPO_PATTERN = '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}$';
/** Pattern of the branch and tag names that Git allows and hubs use. */
export const HUB_REVISION_PATTERN = '^(?!.*(\\.\\.|//))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$';
export const BUCKET_PATTERN = '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$';
/** Largest number of characters of a prefix; keys have at most 1,024 bytes. */
export const PREFIX_LENGTH = 1024;
export const PREFIX_PATTERN = "^(?!(.*/)?\\.{1,2}(/|$))([A-Za-z0-9!_.*'()=+@ -]+(/[A-Za-z0-9!_.*'()=+@ -]+)*)?$";

const isRepo = new RegExp(HUB_REPO_PATTERN);
const isRevision = new RegExp(HUB_REVISION_PATTERN);
const isBucket = new RegExp(BUCKET_PATTERN);
const isPrefix = new RegExp(PREFIX_PATTERN);
const isUpload = new RegExp(idPattern('baseModelUpload'));

/** Parses `hf://org/name@revision`, `s3://bucket/prefix` or `upload://bmu_…`; null for any other text. */
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

/** Formats a source as a text, with its pinned commit if there is one. */
export function sourceText(source: RemoteSource | PinnedSource): string {
  if (source.kind === 'upload') return `upload://${source.id}`;
  if (source.kind === 'hub') return `hf://${source.repo}@${'commit' in source ? source.commit : source.revision}`;
  return `s3://${source.bucket}${source.prefix === '' ? '' : `/${source.prefix}`}`;
}

/** Name by which serving engines can load the source: the repository of a hub, or else the source as a text. */
export function sourceName(source: RemoteSource): string {
  return source.kind === 'hub' ? source.repo : sourceText(source);
}
