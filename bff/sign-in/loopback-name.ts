const loopbackName = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Whether a request came to this machine by another of its own names than browsers are told, as `127.0.0.1` for `localhost`.
 * A cookie belongs to the name: a sign-in that began by one does not end by the other. Of no other names, since behind a proxy
 * `Host` may be anything, and who is led on from there could come back by it without end.
 */
export function isOtherLoopbackName(host: string | undefined, publicUrl: string): boolean {
  const asked = URL.parse(`http://${host}`)
  const told = new URL(publicUrl)
  if (!asked || asked.port !== told.port || asked.hostname === told.hostname) return false
  return loopbackName.test(asked.hostname) && loopbackName.test(told.hostname)
}
