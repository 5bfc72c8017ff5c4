import { platformErrors } from './platform-errors.ts'

/** What is stored beside an object's bytes and given back with them, unchanged. */
export type ObjectAttributes = {
  /** Media type of the object before its encoding: `application/json`. */
  contentType: string
  /** How the bytes are encoded: `gzip`. Absent for bytes that are the object itself. */
  contentEncoding?: string | undefined
  /** For caches that read the store directly. */
  cacheControl?: string | undefined
}

export type ObjectHead = ObjectAttributes & {
  size: number
  /** Strong validator with its quotes (RFC 9110 §8.8.3). The same bytes put twice have the same one. */
  etag: string
  modifiedAt: Date
}

export type ListedObject = Pick<ObjectHead, 'modifiedAt'> & { key: string }

export type StoredObject = ObjectHead & { body: Uint8Array<ArrayBuffer> }

/**
 * A bucket of small objects (reports: some 10–200 KB), read and written whole.
 *
 * Two implementations, a folder and S3, pass the one suite in `object-store.suite.ts`. Every method refuses a
 * key that {@link assertObjectKey} refuses, and fails with `TENDON-PLATFORM-011` when the store cannot be reached.
 */
export type ObjectStore = {
  /** The object's attributes without its bytes; undefined when there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>
  /** The object; undefined when there is none. */
  get(key: string): Promise<StoredObject | undefined>
  /**
   * Writes the object whole: a reader sees all of it or nothing, also when the writer is killed.
   *
   * False, and nothing is written, when `onlyIfAbsent` is asked and the key is there: of many who write one key
   * at once, one writes it. A put that is repeated because its answer was lost may also find its own object.
   */
  put(
    key: string,
    body: Uint8Array,
    attributes: ObjectAttributes,
    options?: { onlyIfAbsent?: boolean },
  ): Promise<boolean>
  /** Repeating it is harmless: deleting what is not there succeeds. */
  delete(key: string): Promise<void>
  /** Every object whose key begins with `prefix` (any string prefix, not only a folder), in byte order of keys. */
  list(prefix: string): AsyncIterable<ListedObject>
  /**
   * Has the store itself delete objects whose key begins with `prefix` some days after they were written, about once
   * a day. False where it cannot, or this account may not ask it to.
   */
  expireAfter(prefix: string, days: number): Promise<boolean>
  /** Makes the bucket or folder when it is missing; fails when it cannot be used. */
  check(): Promise<void>
}

const keyMaxLength = 900
// A file system's 255 bytes a name, less what the folder store adds to it.
const segmentMaxLength = 200

/**
 * Refuses keys that are not plain relative paths: segments of RFC 3986 §2.3 unreserved characters, none of
 * them `.` or `..`, at most 200 characters each and 900 in all. Such a key is the same string in a URL, in an S3
 * signature and on disk, so that there is nothing to escape and nothing to escape from.
 */
export function assertObjectKey(key: string): void {
  if (key.length > keyMaxLength || !key.split('/').every(isSegment)) throw invalidKey(key)
}

/** As {@link assertObjectKey}, for the argument of `list`: the last segment may be unfinished or empty. */
export function assertObjectKeyPrefix(prefix: string): void {
  const segments = prefix.split('/')
  const unfinished = segments.pop() ?? ''
  const plain = unfinished === '' || isSegment(`${unfinished}x`)
  if (prefix.length > keyMaxLength || !plain || !segments.every(isSegment)) throw invalidKey(prefix)
}

function isSegment(segment: string): boolean {
  return (
    segment.length <= segmentMaxLength &&
    /^[A-Za-z0-9._~-]+$/.test(segment) &&
    segment !== '.' &&
    segment !== '..'
  )
}

function invalidKey(key: string) {
  return platformErrors.objectKeyInvalid(`${JSON.stringify(key.slice(0, 100))} cannot name an object`)
}
