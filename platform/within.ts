/**
 * What `work` gives, if it does within `ms`; else what `otherwise` gives, or throws. The work goes on, and how it ends then is
 * nobody's concern here.
 */
export async function within<Value>(
  work: Promise<Value>,
  ms: number,
  otherwise: () => Value,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const isOver = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    return await Promise.race([work, isOver.then(otherwise)])
  } finally {
    clearTimeout(timer)
  }
}

/** For work that has failed when it takes longer. */
export const failAfter = (ms: number) => (): never => {
  throw new Error(`not done within ${ms} ms`)
}
