import { Document, visit } from 'yaml';

/** Kubernetes object, as written to a file. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec?: object;
  readonly data?: Readonly<Record<string, string>>;
}

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Properties shared by all objects of one export. */
export interface Common {
  /** Prefix of the object names, which keeps the objects of several exports apart. */
  readonly name: string;
  /** Namespace of the objects; by default the one in which they are applied. */
  readonly namespace?: string;
}

/**
 * Largest size of an object as JSON, in bytes. An API server takes 1.5 MiB (1 MiB for a ConfigMap), but `kubectl apply`
 * also keeps the object in an annotation, and all annotations together may have 256 KiB.
 */
export const MAX_OBJECT_BYTES = 200 * 1024;

/** Builds the metadata of an object, with the labels by which `kubectl apply --prune` finds it. */
export function metadataOf(
  { name, namespace }: Common,
  objectName: string,
  labels: Readonly<Record<string, string>> = {},
): Metadata {
  return {
    name: objectName,
    ...(namespace !== undefined && { namespace }),
    labels: { 'app.kubernetes.io/managed-by': 'readapt', 'app.kubernetes.io/instance': name, ...labels },
  };
}

/** Size of a value as JSON within an object, in bytes. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** First line of each exported file, by which `readapt export k8s` recognizes the files that it has written. */
export const HEADING = '# Written by `readapt export k8s`, which overwrites changes by hand.\n';

/** Writes objects as a stream of YAML documents. The same objects give the same text. */
export function toYaml(manifests: readonly Manifest[]): string {
  return HEADING + manifests.map((manifest) => `---\n${documentOf(manifest)}`).join('');
}

/**
 * Formats an object with quoted strings, because in the YAML 1.1 that Kubernetes reads, unquoted words such as `on` and
 * `1_000` are values of other types.
 */
function documentOf(manifest: Manifest): string {
  const document = new Document(manifest);
  visit(document, {
    Scalar(_key, node) {
      // A literal block changes by one line if one entry of a long list changes.
      if (typeof node.value === 'string' && node.value.includes('\n')) node.type = 'BLOCK_LITERAL';
    },
  });
  return document.toString({ defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 });
}
