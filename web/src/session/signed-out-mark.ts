/** Of this tab alone; it outlasts the way over the identity provider's page, where an address could carry none. */
const key = 'signed-out'

/** Notes that the person signed out, to be said on the page that they come back to. */
export const markSignedOut = () => sessionStorage.setItem(key, 'yes')

/** Whoever is signed in again has left that behind. */
export const clearSignedOut = () => sessionStorage.removeItem(key)

export const isMarkedSignedOut = () => sessionStorage.getItem(key) !== null
