import { createHash, type Hash } from 'node:crypto';
import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';

/**
 * Starts the fingerprint of a base model: SHA-256 (hex) over its config and every tensor's name, shape and float32
 * bytes, in name order. Equal weights give equal fingerprints however they are divided into files. The caller adds
 * every tensor with {@link hashTensor} and then takes the digest. The config's fields are hashed in name order and
 * without nulls, so that a config field added in a later release (null until it is used) changes no fingerprint.
 */
export function startFingerprint(config: ModelConfig): Hash {
  const fields = Object.entries(config).filter(([, value]) => value !== null);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(`${JSON.stringify(fields)}\n`);
}

/** Adds one tensor to a fingerprint. Tensors must be added in name order. */
export function hashTensor(hash: Hash, name: string, { shape, data }: Tensor): void {
  hashTensorName(hash, name, shape);
  hashValues(hash, data);
}

/** Adds a tensor's name and shape to a fingerprint. The caller then adds the tensor's values in pieces. */
export function hashTensorName(hash: Hash, name: string, shape: readonly number[]): void {
  hash.update(`${JSON.stringify([name, shape])}\n`);
}

export function hashValues(hash: Hash, data: Float32Array): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // One update call accepts at most 2 GiB.
  for (let at = 0; at < bytes.length; at += 1 << 30) hash.update(bytes.subarray(at, at + (1 << 30)));
}
