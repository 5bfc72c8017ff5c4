/**
 * All tabs of a browser have one session: who signs out in one must not leave a report open in another, nor be shown
 * there beside the report of whoever signs in next.
 */
const channelName = 'session'

/** @param username whose session the browser has now; null when it has none any more */
export function tellOtherTabs(username: string | null): void {
  const channel = new BroadcastChannel(channelName)
  channel.postMessage(username)
  channel.close()
}

/** @returns ends the listening */
export function hearOtherTabs(onTold: (username: string | null) => void): () => void {
  const channel = new BroadcastChannel(channelName)
  channel.onmessage = ({ data }: MessageEvent<string | null>) => onTold(data)
  return () => channel.close()
}
