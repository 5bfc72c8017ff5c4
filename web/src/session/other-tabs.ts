/** All tabs of a browser have one session: who signs out in one must not leave a report open in another. */
const channelName = 'session-end'

/** Says to this browser's other tabs that the session is over. */
export function tellOtherTabs(): void {
  const channel = new BroadcastChannel(channelName)
  channel.postMessage(null)
  channel.close()
}

/** @returns ends the listening */
export function hearOtherTabs(onSessionEnd: () => void): () => void {
  const channel = new BroadcastChannel(channelName)
  channel.onmessage = onSessionEnd
  return () => channel.close()
}
