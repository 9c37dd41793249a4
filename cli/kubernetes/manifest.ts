import { Document, visit } from 'yaml';

/** An object of Kubernetes as it is written. */
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

/** What all objects of one export share. */
export interface Common {
  /** Begins the names of the objects, and tells these of several exports apart. */
  readonly name: string;
  /** Without it, the objects belong to the namespace in which they are applied. */
  readonly namespace?: string;
}

/**
 * Most bytes of an object as JSON. An API server takes 1.5 MiB (1 MiB for a ConfigMap), but `kubectl apply` keeps the object in an
 * annotation, too, and all annotations together may have 256 KiB.
 */
export const MAX_OBJECT_BYTES = 200 * 1024;

/** The metadata of an object. Its labels are what `kubectl apply --prune` finds it by. */
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

/** Size of a value in an object, in bytes. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** Begins each file, and says to whom it belongs. */
export const HEADING = '# Written by `readapt export k8s`, which overwrites changes by hand.\n';

/** Writes objects as a stream of YAML documents. The same objects give the same text. */
export function toYaml(manifests: readonly Manifest[]): string {
  return HEADING + manifests.map((manifest) => `---\n${documentOf(manifest)}`).join('');
}

/** Strings are quoted, because the YAML 1.1 of Kubernetes takes plain words such as `on` and `1_000` for other things. */
function documentOf(manifest: Manifest): string {
  const document = new Document(manifest);
  visit(document, {
    Scalar(_key, node) {
      // Line by line, a change of a long list is a change of one line.
      if (typeof node.value === 'string' && node.value.includes('\n')) node.type = 'BLOCK_LITERAL';
    },
  });
  return document.toString({ defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 });
}
