import { expect, test } from 'vitest'
import { createTokenEncryption, encryptionKeysOption } from './token-encryption.ts'

const key = (id: string, byte: number) => ({ id, key: Buffer.alloc(32, byte) })

test('a value decrypts only whole, with its key, and for what it belongs to', () => {
  const { encrypt, decrypt } = createTokenEncryption([key('a', 1)])
  const sealed = encrypt('token', 'session:1')
  expect(sealed).toMatch(/^a\.[\w-]+$/)
  expect(decrypt(sealed, 'session:1')).toBe('token')
  expect(decrypt(sealed, 'session:2')).toBeUndefined()
  expect(createTokenEncryption([key('a', 2)]).decrypt(sealed, 'session:1')).toBeUndefined()
  expect(createTokenEncryption([key('b', 1)]).decrypt(sealed, 'session:1')).toBeUndefined()
  for (const text of ['', 'a', 'a.', 'a.AAAA', '.', sealed.slice(0, -4)]) {
    expect(decrypt(text, 'session:1')).toBeUndefined()
  }
  const bytes = Buffer.from(sealed.slice(2), 'base64url')
  for (let index = 0; index < bytes.length; index += 1) {
    const flipped = Buffer.from(bytes)
    flipped[index]! ^= 1
    expect(decrypt(`a.${flipped.toString('base64url')}`, 'session:1')).toBeUndefined()
  }
})

test('the same value never looks the same twice', () => {
  const { encrypt } = createTokenEncryption([key('a', 1)])
  expect(encrypt('token', 'x')).not.toBe(encrypt('token', 'x'))
})

test('a rotated key encrypts, and the former one still decrypts', () => {
  const sealed = createTokenEncryption([key('old', 1)]).encrypt('token', 'x')
  const rotated = createTokenEncryption([key('new', 2), key('old', 1)])
  expect(rotated.decrypt(sealed, 'x')).toBe('token')
  expect(rotated.encrypt('token', 'x')).toMatch(/^new\./)
})

test('the option takes several keys, and says what is wrong with others', () => {
  const bytes = Buffer.alloc(32, 7).toString('base64')
  expect(encryptionKeysOption.parse(`k2:${bytes}, k1:${bytes}`).map(({ id }) => id)).toEqual(['k2', 'k1'])
  for (const text of ['', bytes, `k1:${bytes.slice(4)}`, `k1:${bytes},k1:${bytes}`, `K 1:${bytes}`]) {
    expect(encryptionKeysOption.safeParse(text).success, text).toBe(false)
  }
})
