export type TestEvent = { event: string; id: string; data: string }

/** What an `EventSource` does over fetch, with every line at hand. */
export async function openEventStream(url: string, headers: Record<string, string>) {
  const closing = new AbortController()
  const response = await fetch(url, { headers, signal: closing.signal })
  const events: TestEvent[] = []
  let heartbeats = 0
  const ended = (async () => {
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = Object.fromEntries(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => line.split(/: ?(.*)/, 2)),
        )
        if ('event' in fields) events.push({ event: fields.event, id: fields.id, data: fields.data })
        else heartbeats += 1
        text = text.slice(end + 2)
      }
    }
  })().catch((error: Error) => {
    if (error.name !== 'AbortError') throw error
  })
  return { response, events, heartbeats: () => heartbeats, ended, close: () => closing.abort() }
}
