import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { z } from 'zod'

export type EncryptionKey = { id: string; key: Buffer }

/** `<id>:<32 bytes in base64>`, several with commas between: the first encrypts, all decrypt. */
export const encryptionKeysOption = z
  .string()
  .transform((text) =>
    text.split(',').map((entry) => {
      const [id = '', key = ''] = entry.trim().split(':')
      return { id, key: Buffer.from(key, 'base64') }
    }),
  )
  .refine((keys) => keys.every(({ id }) => /^[a-z0-9]{1,16}$/.test(id)), 'an id is 1 to 16 of a-z and 0-9')
  .refine((keys) => keys.every(({ key }) => key.length === 32), 'a key is 32 bytes in base64')
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'each id stands once')

const ivBytes = 12
const tagBytes = 16

/** Names an encrypted value: by the id of its key and its nonce, which no other has. */
export const nameOfSealed = (sealed: string): string =>
  sealed.slice(0, sealed.indexOf('.') + 1 + (ivBytes * 4) / 3)

export type TokenEncryption = ReturnType<typeof createTokenEncryption>

/**
 * AES-256-GCM (NIST SP 800-38D) for what is kept outside this process.
 *
 * A new key comes last until all instances have it, then first, and the old one stays until everything under it has
 * expired, so that rotation signs nobody out. Nonces are random: 96 bits are safe for 2^32 values under one key (§8.3).
 */
export function createTokenEncryption(keys: EncryptionKey[]) {
  const [newest] = keys
  if (!newest) throw new RangeError('token encryption needs at least one key')
  return {
    /** Whether a value stands under the key that is used now. */
    isNewest: (sealed: string): boolean => sealed.startsWith(`${newest.id}.`),
    /**
     * @param associatedData what the value belongs to; it decrypts nowhere else
     * @returns `<key id>.<base64url of nonce, ciphertext and tag>`
     */
    encrypt(plaintext: string, associatedData: string): string {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', newest.key, iv).setAAD(Buffer.from(associatedData))
      const sealed = Buffer.concat([
        iv,
        cipher.update(plaintext, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ])
      return `${newest.id}.${sealed.toString('base64url')}`
    },
    /** The plaintext; undefined when the key is unknown or anything was changed. */
    decrypt(sealed: string, associatedData: string): string | undefined {
      const [id, body = ''] = sealed.split('.')
      const key = keys.find((candidate) => candidate.id === id)?.key
      const bytes = Buffer.from(body, 'base64url')
      if (!key || bytes.length < ivBytes + tagBytes) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), {
        authTagLength: tagBytes,
      })
        .setAAD(Buffer.from(associatedData))
        .setAuthTag(bytes.subarray(-tagBytes))
      try {
        const plaintext = decipher.update(bytes.subarray(ivBytes, -tagBytes))
        return Buffer.concat([plaintext, decipher.final()]).toString('utf8')
      } catch {
        return undefined
      }
    },
  }
}
