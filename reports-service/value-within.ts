/** What the work gives, or when the time is over before, something else. @throws what the work throws in that time */
export async function valueWithin<Value>(
  work: Promise<Value>,
  timeMs: number,
  otherwise: Value,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const isOver = new Promise<Value>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), timeMs)
  })
  try {
    return await Promise.race([work, isOver])
  } finally {
    clearTimeout(timer)
  }
}
