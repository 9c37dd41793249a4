import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';

/** Encrypts secrets before they are stored, and decrypts them. */
export interface SecretBox {
  /**
   * Encrypts a secret.
   * @param context the owner of the secret. The text can only be decrypted with the same context, so it cannot be moved
   * to another row
   */
  seal(secret: string, context: string): string;
  /**
   * Decrypts a secret.
   * @returns null if none of the keys has encrypted it, or if the text was changed or belongs to another context
   */
  open(sealed: string, context: string): string | null;
}

/**
 * Creates the box that encrypts and decrypts secrets.
 * @param keys keys of 32 bytes, in base64. The first one encrypts and all of them decrypt, so that keys can be replaced
 * @returns null if there is no key
 */
export function createSecretBox(keys: readonly string[]): SecretBox | null {
  const known = keys.map((text) => {
    const key = Buffer.from(text, 'base64');
    return { key, id: createHash('sha256').update(key).digest('hex').slice(0, 8) };
  });
  const [current] = known;
  if (current === undefined) return null;
  return {
    seal(secret, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv(CIPHER, current.key, iv).setAAD(Buffer.from(context));
      const bytes = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return [current.id, iv, cipher.getAuthTag(), bytes]
        .map((part) => (typeof part === 'string' ? part : part.toString('base64url')))
        .join('.');
    },
    open(sealed, context) {
      const [id, ...parts] = sealed.split('.');
      const [iv, tag, bytes] = parts.map((part) => Buffer.from(part, 'base64url'));
      const key = known.find((one) => one.id === id)?.key;
      if (key === undefined || iv === undefined || tag === undefined || bytes === undefined) return null;
      try {
        const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: 16 }).setAAD(Buffer.from(context));
        return Buffer.concat([decipher.setAuthTag(tag).update(bytes), decipher.final()]).toString('utf8');
      } catch {
        return null;
      }
    },
  };
}
