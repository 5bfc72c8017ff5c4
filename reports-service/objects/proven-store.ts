import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { reportsErrors } from '../errors.ts'
import { reportObjectsPrefix } from './report-objects.ts'

/** Below the prefix that this account may write to and the bucket's rule deletes from: then it is written again. */
const probe = `${reportObjectsPrefix}written-once`

/**
 * A store whose `check` also shows, once, that it writes a name only if there is no object of it.
 *
 * That objects never change is its promise alone. An S3 service that does not know `If-None-Match`, and a proxy that drops
 * it, answer as if all were well and replace what is there.
 */
export function provenStore(store: ObjectStore): ObjectStore {
  let isProven = false

  /** Refused at the second attempt at the latest, for by then the object is there. */
  async function isWrittenOnce(): Promise<boolean> {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const body = Buffer.from('This object shows that the store does not replace one.\n')
      if (!(await store.put(probe, body, { contentType: 'text/plain' }, { onlyIfAbsent: true }))) return true
    }
    return false
  }

  return {
    ...store,
    async check() {
      await store.check()
      isProven ||= await isWrittenOnce()
      if (!isProven) {
        throw reportsErrors.objectsReplaced(
          `The object store wrote ${probe} again, though it was asked to write it only if it is not there.`,
        )
      }
    },
  }
}
