/**
 * Of this tab alone; it outlasts the way over the identity provider's page, where an address could carry none. A browser
 * that is told to keep nothing denies the storage, by an error: then there is no mark.
 */
const key = 'signed-out'

/** Notes that the person signed out, to be said on the page that they come back to. */
export const markSignedOut = () => withStorage((storage) => storage.setItem(key, 'yes'))

/** Whoever is signed in again has left that behind. */
export const clearSignedOut = () => withStorage((storage) => storage.removeItem(key))

export const isMarkedSignedOut = () => withStorage((storage) => storage.getItem(key) !== null) ?? false

function withStorage<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(sessionStorage)
  } catch {
    return undefined
  }
}
